"""The rows of a report with the macs that another counter counts, and the notes on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mbanalyze.report.rows import Row

if TYPE_CHECKING:
    from mbanalyze.conventions.convention import Convention, Record


def convention_rows(rows: Iterable[Row], record: Record, convention: Convention) -> tuple[Row, ...]:
    """Return rows with the macs of a convention; the amount of a call is in the row of its first operator.

    Args:
        rows: the rows of a report, each of one or several operators of the record.
        record: the record.
        convention: the convention.

    Raises:
        ConventionError: the record lacks what the convention counts.
    """
    counts = dict(zip(map(id, record.ops), convention.of_ops(record), strict=True))
    return tuple([_with_macs(row, sum(counts[id(op)] for op in row.recorded)) for row in rows])


def _with_macs(row: Row, macs: int) -> Row:
    """The row with other macs; they stay unknown if the counter counts nothing for an operator without a formula."""
    known = macs if macs or row.cost.flops is not None else None
    return row._replace(cost=row.cost._replace(macs=known))


def counted_as(convention: Convention) -> str:
    """Return the convention of macs in words: 'macs as thop 0.1.1 counts them'."""
    if convention.package:
        tool, comma, part = convention.counter.partition(",")
        return f"macs as {tool} counts them{comma}{part}"
    return f"macs as in {convention.counter}"


def convention_note(convention: Convention) -> str:
    """Return the note on a result whose macs are those of a convention."""
    return f"{counted_as(convention)}; other columns as mbanalyze counts"


def convention_notes(convention: Convention, record: Record) -> list[str]:
    """Return the notes on a report: the convention, and the counter's total in another unit."""
    notes = [convention_note(convention)]
    if convention.unit != "macs":
        notes.append(f"total of {convention.title}: {convention.total(record):,} {convention.unit}")
    return notes


def macs_name(name: str, convention: Convention | None) -> str:
    """Return the name of the macs with the convention in brackets: 'macs (thop)'; `name` for our macs."""
    return f"{name} ({convention.name})" if convention else name
