"""A report as one HTML file with its style, its script and its libraries.

terms.py   the measures and the definitions of the columns
charts.py  the data of the charts
tree.py    the modules of a report as a tree
packed.py  libraries and downloads, compressed
page.*     template, style, and the script that starts the others
charts.js  draws the charts
shares.js  shows the share of each row in the chosen measure
table.js   makes the table sort, filter, and show its rows on demand
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from mbanalyze.display.records import one_line, printable, shape
from mbanalyze.display.result import Result
from mbanalyze.display.views import Section
from mbanalyze.display.views import exact as spelled
from mbanalyze.ops.cost import Cost
from mbanalyze.report.columns import complete, complete_total
from mbanalyze.report.network import Groups, Report
from mbanalyze.report.page.charts import charts, exact, share, short
from mbanalyze.report.page.packed import DOWNLOADS, documents, file_name, libraries
from mbanalyze.report.page.terms import TRAINING_DEFINITIONS, definitions, measures
from mbanalyze.report.rows import Group
from mbanalyze.report.summary import headline, kind_of, output_of, places, remarks, training_places
from mbanalyze.report.table import heading

PACKAGES = ("jinja2", "plotly", "itables")
"""The packages that the page needs: for its template, its charts and its sortable table (DataTables)."""

SCRIPTS = ("charts.js", "shares.js", "table.js", "page.js")
"""The page's own script in parts; the last one starts the others."""
ROWS = 500
"""The number of rows that the document has as markup; the script draws those of a longer table on demand."""


class PageError(ValueError):
    """A page that cannot be made."""


def require_packages() -> None:
    """Raise `PageError` if one of `PACKAGES` is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise PageError(f"{' and '.join(missing)} not installed: pip install 'mbanalyze[html]'")


def page(
    groups: Groups, check: Section | None = None, *, agree: bool | None = True, download: Result | None = None
) -> str:
    """Return a report as an HTML document in ASCII that loads nothing from elsewhere.

    Args:
        groups: the report, and the grouping of the table's rows; the charts always show every operator.
        check: a check to show with it.
        agree: True if every comparison of the check agrees, None if no operator could be compared.
        download: the result to download as CSV and JSON; by default `groups`.

    Raises:
        PageError: the packages of `mbanalyze[html]` are missing.
    """
    require_packages()
    from jinja2 import Environment, StrictUndefined

    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.finalize = lambda value: one_line(value) if type(value) is str else value
    templates.policies["json.dumps_function"] = _json
    templates.filters |= {"exact": exact, "short": short}
    shown = _shown(groups) | {"check": _checked(check) if check else None, "agree": agree}
    shown["packed"] = libraries() | documents(download or groups)
    text = templates.from_string(_own("page.html")).render(shown)
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _json(data: Any, **options: Any) -> str:
    return json.dumps(printable(data), **options)


def _checked(check: Section) -> dict[str, Any]:
    """The table of a check: headings with their alignment, and rows."""
    return {
        "headings": [(column.heading, column.align) for column in check.columns],
        "rows": list(zip(*(map(spelled, column.cells) for column in check.columns), strict=True)),
    }


def _shown(groups: Groups) -> dict[str, Any]:
    """The values that the template fills in."""
    report, by, script = groups.report, groups.key, "\n".join(map(_own, SCRIPTS))
    rows = [_row(group, report, by) for group in groups]
    return {
        "report": report,
        "title": report.model,
        "inputs": [shape(sizes) for sizes in report.input],
        "headline": headline(report),
        "places": places(report.uncounted),
        "training_places": training_places(report),
        "remarks": remarks(report),
        "by": by,
        "largest": max((row["counts"]["share of macs"][0] or 0 for row in rows), default=0) or 1,
        "rows": rows[:ROWS],
        "all_rows": len(rows),
        "total": _total(report),
        "measures": measures(report.other_convention),
        "definitions": definitions(report.other_convention)
        | (TRAINING_DEFINITIONS if report.training else {}),
        "downloads": DOWNLOADS,
        "file_name": file_name(report.model),
        "data": charts(report) | {"rows": [_texts(row) for row in rows] if len(rows) > ROWS else None},
        "macs_heading": heading("macs", report.other_convention),
        "style": _own("page.css"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }


def _row(group: Group, report: Report, by: str) -> dict[str, Any]:
    """A row of the table."""
    return {
        "name": group.key or "(model)",
        "what": kind_of(group) if by in ("op", "module") else str(len(group.rows)),
        "output": None if by == "kind" else output_of(group),
        "counts": _counts(group.cost, group.complete, report) | _training(group, report),
    }


def _total(report: Report) -> dict[str, tuple[float | None, str]]:
    """The numbers of the last row."""
    counts = report.training_counts(report.rows)
    training = {
        heading(name): (count, exact(count, complete_total(name, report))) for name, count in counts.items()
    }
    return _counts(report.totals, report.complete, report) | training


def _training(group: Group, report: Report) -> dict[str, tuple[float | None, str]]:
    """The numbers of a row that training adds."""
    counts = report.training_counts(group.rows)
    return {
        heading(name): (count, exact(count, complete(name, group, report))) for name, count in counts.items()
    }


def _texts(row: dict[str, Any]) -> list[str]:
    """The cells of a row."""
    cells = (row["name"], row["what"], row["output"], *(text for _, text in row["counts"].values()))
    return [cell for cell in cells if cell is not None]


def _counts(cost: Cost, known: bool, report: Report) -> dict[str, tuple[float | None, str]]:
    """The numbers of a row by column: the value to sort by, and the text."""
    part, intensity = share(cost.macs, report.totals.macs), cost.arithmetic_intensity(report.itemsize)
    return {
        "share of macs": (part, "?" if part is None else f"{part:.1f} %"),
        "params": (cost.params, exact(cost.params)),
        "macs": (cost.macs, exact(cost.macs, known)),
        "flops": (cost.flops, exact(cost.flops, known)),
        "activations": (cost.activations, exact(cost.activations, known)),
        "memory access": (cost.memory_access, exact(cost.memory_access)),
        "flops per byte": (intensity, "?" if intensity is None else f"{intensity:.2f}"),
    }


def _own(name: str) -> str:
    """The text of a file in this package."""
    return (files(__name__) / name).read_text(encoding="utf-8")
