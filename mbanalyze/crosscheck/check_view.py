"""The views of a check, and of a report with its check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mbanalyze.crosscheck.checked_count import CLOSED_FORM, NOT_COUNTED
from mbanalyze.crosscheck.witnesses import Check, CheckedReport
from mbanalyze.display import records
from mbanalyze.display.result import Renderer, formats, view, view_of
from mbanalyze.display.views import Cell, Column, Section, View, filled, words
from mbanalyze.report.network import Groups
from mbanalyze.report.summary import subject
from mbanalyze.report.view import REPORT_FORMATS, refuse_selection, selected_records

AGREE: Mapping[bool | None, str | Cell] = {
    True: "yes",
    False: Cell("NO", "NO", "bold red"),
    None: Cell("not compared", "not compared", "dim"),
}
"""The results of a comparison in words."""


@view.register
def check_view(check: Check) -> View:
    """Lay out a check: a row for each comparison, and the network that was compared."""
    section = replace(check_section(check), heading=f"{subject(check.report)}, in eval mode")
    made_by = ", ".join(f"{name} {version}" for name, version in check.versions.items())
    return View((section,), tuple(_summary(check)), (made_by,))


def _summary(check: Check) -> Iterator[str]:
    """Yield the number of comparisons by result, and the two sides of each."""
    results = [each.agree for each in check.comparisons]
    names = {True: "agree", False: "disagree", None: "not compared"}
    counts = ", ".join(
        f"{results.count(result)} {name}" for result, name in names.items() if result in results
    )
    skipped = any(each.reason == NOT_COUNTED for each in check.comparisons)
    yield counts + " (fvcore does not count these kinds)" * skipped
    if check.agree is None:
        compared = any(each.agree for each in check.comparisons)
        yield "no operator could be compared, only parameters" if compared else "nothing could be compared"
    known = any(each.what == CLOSED_FORM for each in check.comparisons)
    sides = "the trace is compared with fvcore and the module's own parameters"
    if check.report.method == "file":
        sides = "the products are compared with the shapes that onnx infers, and with the file's initializers"
    yield f"the closed form is compared with the trace, and {sides}" if known else sides


def check_section(check: Check) -> Section:
    """The table of a check."""
    made = check.comparisons
    return Section(
        "",
        filled(
            (
                words("what", [c.what for c in made]),
                words("quantity", [c.quantity for c in made]),
                Column("ours", ["" if c.ours is None else f"{c.ours:,}" for c in made]),
                Column("theirs", ["" if c.theirs is None else f"{c.theirs:,}" for c in made]),
                words("agree", [AGREE[c.agree] for c in made]),
                words(
                    "reason",
                    ["" if c.reason in (None, NOT_COUNTED) else str(c.reason) for c in made],
                    wrap=True,
                ),
            )
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
