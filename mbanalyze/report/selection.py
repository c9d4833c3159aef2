"""The rows of a report that a reader asks for: sorted, and the largest with a sum of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mbanalyze.inputs.choices import choose
from mbanalyze.report.columns import COLUMNS, COUNTS, value
from mbanalyze.report.network import Groups, Report
from mbanalyze.report.rows import Group, group
from mbanalyze.report.training import TRAINING_COLUMNS

T = TypeVar("T")


class SelectionError(ValueError):
    """A selection of rows or columns that contradicts itself or the format."""


def sorted_by(column: str, groups: Iterable[Group], report: Report) -> list[Group]:
    """Return groups by a column of numbers, the largest first; those without a number come last.

    Raises:
        ChoiceError: no column of numbers has this name.
    """
    number = COUNTS[choose("column to sort by", column, COUNTS)]
    counts = [(each, number(each, report)) for each in groups]
    known = [(each, count) for each, count in counts if count is not None]
    unknown = [each for each, count in counts if count is None]
    return [each for each, _ in sorted(known, key=lambda pair: -pair[1])] + unknown


def selected(groups: Groups, sort: str | None, top: int | None) -> tuple[list[Group], Group | None]:
    """Return the rows to show, and one group with the rows left out, or None if there are none.

    Args:
        groups: all rows.
        sort: the column of numbers to sort by; by default the order of execution, or macs with `top`.
        top: the number of rows to show; None for all.

    Raises:
        ChoiceError: no column of numbers has the name `sort`.
        SelectionError: `top` is below 1.
    """
    at_least_one("top", top)
    column = sort or (None if top is None else "macs")
    shown = sorted_by(column, groups, groups.report) if column else list(groups)
    others = shown[top:] if top is not None else []
    if not others:
        return shown, None
    return shown[:top], group(others_name(len(others)), [row for each in others for row in each.rows])


def largest(groups: Iterable[T], size: Callable[[T], float], top: int | None) -> tuple[list[T], list[T]]:
    """Return the groups to show and those left out: all and none in order, or the `top` largest and the others.

    Raises:
        SelectionError: `top` is below 1.
    """
    at_least_one("top", top)
    if top is None:
        return list(groups), []
    ordered = sorted(groups, key=lambda each: -size(each))
    return ordered[:top], ordered[top:]


def others_name(count: int) -> str:
    """Return the name of the row that sums the groups left out: '1 other', '12 others'."""
    return "1 other" if count == 1 else f"{count:,} others"


def at_least_one(name: str, number: int | None) -> None:
    """Raise `SelectionError` if a number is given and is not a whole number above 0."""
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        raise SelectionError(f"{name} must be a whole number above 0, not {number!r}")


def require_training(report: Report, names: Iterable[str | None]) -> None:
    """Raise `SelectionError` if a column is about training, and the report has none."""
    given = [name for name in names if name in TRAINING_COLUMNS]
    if given and not report.training:
        raise SelectionError(f"{given[0]} is a count of training: add train=True (--train)")


def chosen_columns(columns: str | Iterable[str]) -> list[str]:
    """Return the names of columns, each once; a text has commas between them.

    Raises:
        ChoiceError: a name is unknown.
        SelectionError: there is no name.
    """
    given = [name.strip() for name in columns.split(",")] if isinstance(columns, str) else list(columns)
    if not any(given):
        raise SelectionError(f"columns is empty: give some of {', '.join(COLUMNS)}")
    return list(dict.fromkeys(choose("column", name, COLUMNS) for name in given))


def records(
    result: Report | Groups,
    sort: str | None = None,
    top: int | None = None,
    columns: str | Sequence[str] | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records of the rows to show, and their keys; errors as for `selected` and `chosen_columns`."""
    groups = result if isinstance(result, Groups) else result.by("op")
    shown, _ = selected(groups, sort, top)
    own = {id(each): record for each, record in zip(groups, result.records(), strict=True)}
    report = groups.report
    names = result.columns() if columns is None else [*chosen_columns(columns), *report.convention_column]
    require_training(report, [*names, sort])
    return [
        {name: own[id(each)][name] if name in own[id(each)] else value(name, each, report) for name in names}
        for each in shown
    ], names
