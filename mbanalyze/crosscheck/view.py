"""The views of a check, and of a report with its check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mbanalyze.crosscheck.witnesses import Check, CheckedReport
from mbanalyze.display import records
from mbanalyze.display.result import Renderer, formats, view, view_of
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.report.network import Groups
from mbanalyze.report.view import REPORT_FORMATS, refuse_selection, selected_records


@view.register
def check_view(check: Check) -> View:
    """Lay out a check: a row for each comparison."""
    return View((check_section(check),))


def check_section(check: Check) -> Section:
    """The table of a check."""
    made = check.comparisons
    return Section(
        "",
        (
            words("what", [c.what for c in made]),
            Column("ours", ["" if c.ours is None else f"{c.ours:,}" for c in made]),
            Column("theirs", ["" if c.theirs is None else f"{c.theirs:,}" for c in made]),
            words("agree", ["yes" if c.agree else Cell("NO", "NO", "bold red") for c in made]),
            words("reason", [c.reason or "" for c in made], wrap=True),
        ),
    )


@view.register
def checked_view(checked: CheckedReport, **options: Any) -> View:
    """Lay out a report with the options of its view, and its check below the totals."""
    shown = view_of(checked.shown, **options)
    return replace(shown, sections=(*shown.sections, check_section(checked.check)))


def _csv(checked: CheckedReport, **options: Any) -> str:
    """The records of the report."""
    return checked.shown.to("csv", **options)


def _json(checked: CheckedReport, **options: Any) -> str:
    """The report's document, with the check."""
    rows, _ = selected_records("json", checked.shown, **options)
    return records.json({**checked.as_dict(), "rows": rows})


def _page(checked: CheckedReport, **options: Any) -> str:
    """The report as an HTML page, with the check."""
    from mbanalyze.report.page import page

    refuse_selection(options)
    shown = checked.shown
    groups = shown if isinstance(shown, Groups) else shown.by("module")
    return page(groups, check_section(checked.check), agree=checked.check.agree, download=checked)


@formats.register
def checked_formats(_: CheckedReport) -> Mapping[str, Renderer]:
    """The formats of a report."""
    return {**REPORT_FORMATS, "csv": _csv, "json": _json, "html": _page}
