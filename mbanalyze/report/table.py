"""The table of a report: a column of cells for each name, with the total in the last row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mbanalyze.display.records import shape
from mbanalyze.display.units import count_cell, ratio_cell, si, si_bytes
from mbanalyze.display.views import Cell, Column, words
from mbanalyze.report.columns import COUNTS, WORDS, Number, complete, complete_total, value
from mbanalyze.report.convention_rows import macs_name
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Group
from mbanalyze.report.summary import kind_of

if TYPE_CHECKING:
    from mbanalyze.conventions.convention import Convention

BAR = 6
"""The width of a bar, in cells."""
VALUES = 3
"""The most shapes or settings that a cell lists; of more, it gives the number."""
HEADINGS = {"macs_share": "share of macs", "arithmetic_intensity": "flops per byte"}
"""The headings that are not the name of the column with spaces."""


def heading(name: str, convention: Convention | None = None) -> str:
    """Return the heading of a column; that of macs names the counter whose convention they follow."""
    text = HEADINGS.get(name, name.replace("_", " "))
    return macs_name(text, convention) if name == "macs" else text


def first_column(by: str, shown: Iterable[Group]) -> Column:
    """Return the column with the names of the rows."""
    return words(by, [*(group.key or "(model)" for group in shown), "total"])


def column(name: str, shown: Sequence[Group], others: Group | None, report: Report) -> Column:
    """Return a column.

    Args:
        name: one of `COLUMNS`.
        shown: the rows.
        others: the row with the sum of all rows that are not shown, if any.
        report: the report, whose total is the last row.
    """
    rows, total = [*shown, *([others] if others else [])], Group("total", report.rows, report.totals)
    if name == "macs_share":
        return Column(heading(name), [*_shares(shown, others, report), ""], "left", bars=True)
    if name in COUNTS:
        cells = [_cell(name, value(name, group, report), complete(name, group, report)) for group in rows]
        whole = _cell(name, value(name, total, report), complete_total(name, report))
        return Column(heading(name, report.other_convention), [*cells, whole])
    if name == "kind":
        return words(name, [*map(kind_of, rows), f"{len(report.rows)} ops"])
    listed = [_text(name, value(name, group, report)) for group in shown]
    return words(heading(name), [*listed, *[""] * (len(rows) - len(shown)), ""])


def _cell(name: str, number: Number, is_complete: bool) -> str | Cell:
    """A number as a cell."""
    if name == "ops":
        return str(number)
    if name == "arithmetic_intensity" or isinstance(number, float):
        return ratio_cell(number)
    return count_cell(number, complete=is_complete, spell=si_bytes if name.endswith("_bytes") else si)


def _text(name: str, found: Any) -> str:
    """Shapes and settings as a cell."""
    if name in WORDS:
        return str(found)
    if len(found) > VALUES:
        return (
            f"{len(found)} different"
            if name in ("kernel", "stride", "dilation", "groups")
            else f"{len(found)} tensors"
        )
    return " ".join(shape(each) if isinstance(each, tuple) else str(each) for each in found)


def _shares(shown: Sequence[Group], others: Group | None, report: Report) -> list[str]:
    """The share of each row as a bar and in per cent; the largest row has a full bar, and the others have none."""
    largest = max((group.cost.macs or 0 for group in shown), default=0)
    cells = [_share(group, report, (group.cost.macs or 0) / (largest or 1)) for group in shown]
    return cells + ([_share(others, report, 0)] if others else [])


def _share(group: Group, report: Report, length: float) -> str:
    """A bar of `BAR` cells at length 1, in eighths, and the share of macs in per cent."""
    part, whole = group.cost.macs, report.totals.macs
    if part is None:
        return "?"
    if not part or not whole:
        return ""
    full, rest = divmod(max(0, round(8 * BAR * length)), 8)
    bar = "█" * full + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)
    return f"{bar:{BAR}} {100 * part / whole:5.1f} %"
