"""The view of a report: a row for each group, exact totals, and remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mbanalyze.display import records as texts
from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.units import count_cell
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.report.network import Groups, Report
from mbanalyze.report.outline import outline
from mbanalyze.report.rows import Group
from mbanalyze.report.selection import (
    SelectionError,
    at_least_one,
    chosen_columns,
    records,
    require_training,
    selected,
)
from mbanalyze.report.summary import headline, origin, places, remarks, subject, training_places
from mbanalyze.report.table import column, first_column, heading

DROP_ORDER = (
    "flops per byte",
    "output",
    "backward flops",
    "flops",
    "share of macs",
    "memory access",
    "kind",
    "ops",
)
"""Columns to leave out, in this order, while the table is too wide."""
DEFAULT_COLUMNS = ("params", "macs", "macs_share", "flops", "memory_access", "arithmetic_intensity")
"""The columns of numbers that a table has by default."""
TRAINING_DEFAULT = ("params", "macs", "backward_macs", "flops", "backward_flops", "saved_bytes")
"""The columns of numbers that the table of a training step has by default."""


@view.register
def report_view(
    report: Report,
    sort: str | None = None,
    top: int | None = None,
    depth: int | None = None,
    columns: str | Sequence[str] | None = None,
    *,
    collapse: bool = True,
) -> View:
    """Lay out a report by module; options as for `groups_view`."""
    return groups_view(report.by("module"), sort, top, depth, columns, collapse=collapse)


@view.register
def groups_view(
    groups: Groups,
    sort: str | None = None,
    top: int | None = None,
    depth: int | None = None,
    columns: str | Sequence[str] | None = None,
    *,
    collapse: bool = True,
) -> View:
    """Lay out a report by the key of `groups`; options and errors as for `Report.to`."""
    report = groups.report
    shown, others = (
        selected(groups, sort, top)
        if depth is None
        else (_tree(groups, depth, sort, top, collapse=collapse), None)
    )
    numbers = TRAINING_DEFAULT if report.training else DEFAULT_COLUMNS
    names = _names(groups.key, sort, numbers) if columns is None else chosen_columns(columns)
    require_training(report, names)
    drop_order = (
        DROP_ORDER
        if columns is None
        else tuple(heading(name, report.other_convention) for name in reversed(names))
    )
    table = (
        first_column(groups.key, [*shown, *([others] if others else [])]),
        *(column(name, shown, others, report) for name in names if name not in ("path", "key")),
    )
    sections = (Section(subject(report), table, drop_order, total=True), _totals(report))
    return View(sections, (*_uncounted(report), *remarks(report)), (origin(report),))


def _names(by: str, sort: str | None, numbers: Sequence[str]) -> list[str]:
    """The columns of a table by default, with those of `numbers` and the one that it is sorted by."""
    first = ["kind"] if by in ("op", "module") else ["ops"]
    names = [*first, *([] if by == "kind" else ["output"]), *numbers]
    return names if sort is None or sort in names else [*names, sort]


def _tree(groups: Groups, depth: int, sort: str | None, top: int | None, *, collapse: bool) -> list[Group]:
    """The rows of a tree of modules."""
    at_least_one("depth", depth)
    if groups.key != "module":
        raise SelectionError(f"depth shows modules, not {groups.key}s: leave out by")
    if top is not None:
        raise SelectionError("depth shows every branch of the tree: leave out top, or give sort")
    return outline(groups.report, depth, sort, collapse=collapse)


def _totals(report: Report) -> Section:
    """The exact totals, each with a remark."""
    totals = headline(report)
    counts = [count_cell(total.value, complete=total.complete).exact for total in totals.values()]
    remarks = [total.remark for total in totals.values()]
    return Section("", (words("", list(totals)), Column("", counts), words("", remarks, wrap=True)))


def _uncounted(report: Report) -> list[str]:
    """The operators that are not counted, one a line."""
    return [
        *_listed("not counted, so macs and flops are lower bounds:", places(report.uncounted)),
        *_listed("not counted in training, so these are lower bounds:", training_places(report)),
    ]


def _listed(heading: str, found: Mapping[str, str]) -> list[str]:
    """Operators below a heading, one a line; nothing without operators."""
    return [heading, *(f"{operator}: {where}" for operator, where in found.items())] if found else []


def selected_records(
    format: str, result: Report | Groups, depth: int | None = None, **options: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records that CSV and JSON have, and their keys; errors as for `Report.to`."""
    if depth is not None:
        raise SelectionError(f"depth is for tables and Markdown, not for {format}: leave it out, or give by")
    return records(result, *(options.get(name) for name in ("sort", "top", "columns")))


def _csv(result: Report | Groups, **options: Any) -> str:
    """The records of the rows to show."""
    return texts.csv(*selected_records("csv", result, **options))


def _json(result: Report | Groups, **options: Any) -> str:
    """The document, with the records of the rows to show."""
    return texts.json({**result.as_dict(), "rows": selected_records("json", result, **options)[0]})


def _page(result: Report | Groups, **options: Any) -> str:
    """The report as one HTML file that needs nothing else."""
    from mbanalyze.report.page import page

    refuse_selection(options)
    return page(result if isinstance(result, Groups) else result.by("module"), download=result)


def refuse_selection(options: Mapping[str, Any]) -> None:
    """Raise `SelectionError` if settings select rows or columns of an HTML page."""
    given = [name for name in ("sort", "top", "depth", "columns") if options.get(name) is not None]
    if given:
        raise SelectionError(
            f"an HTML page has all rows, and sorts and filters them: leave out {', '.join(given)}"
        )


REPORT_FORMATS: Mapping[str, Renderer] = {**FORMATS, "csv": _csv, "json": _json, "html": _page}
"""The formats of a report, by name."""


@formats.register(Report)
@formats.register(Groups)
def report_formats(_: Report | Groups) -> Mapping[str, Renderer]:
    """The formats of a report."""
    return REPORT_FORMATS
