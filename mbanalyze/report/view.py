"""The view of a report: a row for each group, exact totals, and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbanalyze.display.result import FORMATS, Renderer, formats, view
from mbanalyze.display.units import count_cell, ratio_cell
from mbanalyze.display.views import Column, Section, View, words
from mbanalyze.ops.cost import Count
from mbanalyze.report.network import Groups, Report
from mbanalyze.report.summary import headline, kind_of, output_of, places, provenance, remarks

BAR = 6
"""The width of a bar, in cells."""
DROP_ORDER = ("flops per byte", "output", "flops", "share of macs", "memory access", "kind", "ops")
"""Columns to leave out, in this order, while the table is too wide."""


@view.register
def report_view(report: Report) -> View:
    """Lay out a report by module."""
    return groups_view(report.by("module"))


@view.register
def groups_view(groups: Groups) -> View:
    """Lay out a report by the key of `groups`."""
    report = groups.report
    sections = (Section("", _columns(groups), DROP_ORDER, total=True), _totals(report))
    return View(sections, (*_uncounted(report), *remarks(report)), (provenance(report),))


def _columns(groups: Groups) -> tuple[Column, ...]:
    """A cell for each group in each column, and the total's at the end."""
    report, by = groups.report, groups.key
    costs = [*(group.cost for group in groups), report.totals]
    complete = [*(group.complete for group in groups), report.complete]
    size = Column("ops", [*(str(len(group.rows)) for group in groups), str(len(report.rows))])
    if by in ("op", "module"):
        size = words("kind", [*map(kind_of, groups), f"{len(report.rows)} ops"])
    output = [] if by == "kind" else [words("output", [*map(output_of, groups), ""])]
    shares = [*(_share(group.cost.macs, report.totals.macs) for group in groups), ""]
    known = list(zip(costs, complete, strict=True))
    return (
        words(by, [*(group.key or "(model)" for group in groups), "total"]),
        size,
        *output,
        Column("params", [count_cell(cost.params) for cost in costs]),
        Column("macs", [count_cell(cost.macs, complete=whole) for cost, whole in known]),
        Column("share of macs", shares, "left", bars=True),
        Column("flops", [count_cell(cost.flops, complete=whole) for cost, whole in known]),
        Column("memory access", [count_cell(cost.memory_access) for cost in costs]),
        Column("flops per byte", [ratio_cell(cost.arithmetic_intensity(report.itemsize)) for cost in costs]),
    )


def _share(part: Count, whole: Count) -> str:
    """`part` of `whole` as a bar of `BAR` cells, in eighths, and in per cent."""
    if part is None:
        return "?"
    if not part or not whole:
        return ""
    full, rest = divmod(round(8 * BAR * part / whole), 8)
    bar = "█" * full + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)
    return f"{bar:{BAR}} {100 * part / whole:5.1f} %"


def _totals(report: Report) -> Section:
    """The exact totals, each with a remark."""
    totals = headline(report)
    counts = [count_cell(count).exact for count, _ in totals.values()]
    remarks = [remark for _, remark in totals.values()]
    return Section("", (words("", list(totals)), Column("", counts), words("", remarks)))


def _uncounted(report: Report) -> list[str]:
    """The operators that are not counted, one a line."""
    found = [f"{operator}: {where}" for operator, where in places(report).items()]
    return ["not counted, so macs and flops are lower bounds:", *found] if found else []


def _page(result: Report | Groups, **_: Any) -> str:
    """The report as one HTML file that needs nothing else."""
    from mbanalyze.report.page import page

    return page(result if isinstance(result, Groups) else result.by("module"), download=result)


REPORT_FORMATS: Mapping[str, Renderer] = {**FORMATS, "html": _page}
"""The formats of a report, by name."""


@formats.register(Report)
@formats.register(Groups)
def report_formats(_: Report | Groups) -> Mapping[str, Renderer]:
    """The formats of a report."""
    return REPORT_FORMATS
