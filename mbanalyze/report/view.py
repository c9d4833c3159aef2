"""Reports as text: `FORMATS` maps a format's name to a function `(report, by) -> str`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from mbanalyze.crosscheck.view import agreement_markdown, agreement_table
from mbanalyze.display.records import comma_separated, dump
from mbanalyze.display.tables import fit, grid_of, html_notes, html_table, markdown_table, plain
from mbanalyze.display.units import si, si_bytes
from mbanalyze.ops.cost import Cost, Count
from mbanalyze.report.network import CONVENTION, Report
from mbanalyze.report.rows import Group, Uncounted

if TYPE_CHECKING:
    from mbanalyze.crosscheck.witnesses import Agreement

SCHEMA = "mbanalyze.report/1"
BAR = 6
DROPPED = ("flops a byte", "output", "flops", "share of macs", "memory access", "kind", "ops")
"""Columns of the table that give way, in this order, when it is too wide."""


def shape(sizes: Sequence[int]) -> str:
    """`(1, 3, 224, 224)` -> '1x3x224x224'."""
    return "x".join(map(str, sizes))


def output_of(group: Group) -> str:
    """The shapes that the last operator of a group writes."""
    return " ".join(shape(value.shape) for value in group.rows[-1].op.output)


def kind_of(group: Group) -> str:
    """The kind and variant of a group's operators where they share it, else how many they are."""
    kinds = {(row.op.kind, row.op.variant or "") for row in group.rows}
    if len(kinds) > 1:
        return f"{len(group.rows)} ops"
    (kind,) = kinds
    return " ".join(kind).strip() + (f" x {len(group.rows)}" if len(group.rows) > 1 else "")


def _count(count: int | None, complete: bool = True) -> str:
    """A count for people: '?' when unknown, a lower bound marked as one, nothing for nothing."""
    if count is None:
        return "?"
    return f"{'' if complete else '≥ '}{si(count)}" if count or not complete else ""


def _share(part: int | None, whole: int | None) -> str:
    """`part` of `whole` as a bar of `BAR` cells, in eighths, and in per cent."""
    if part is None:
        return "?"
    if not part or not whole:
        return ""
    full, rest = divmod(round(8 * BAR * part / whole), 8)
    bar = "█" * full + " ▏▎▍▌▋▊▉"[rest] * (rest > 0)
    return f"{bar:{BAR}} {100 * part / whole:5.1f} %"


def _columns(report: Report, by: str) -> dict[str, list[str]]:
    """The table's columns by heading: a cell for each group, and the total's at the end."""
    groups, totals = report.by(by), report.totals
    costs = [*(group.cost for group in groups), totals]
    complete = [*(group.complete for group in groups), report.complete]
    columns = {by: [*(group.key or "(model)" for group in groups), "total"]}
    if by in ("op", "module"):
        columns["kind"] = [*map(kind_of, groups), f"{len(report.rows)} ops"]
    else:
        columns["ops"] = [*(str(len(group.rows)) for group in groups), str(len(report.rows))]
    if by != "kind":
        columns["output"] = [*map(output_of, groups), ""]
    columns["params"] = [_count(cost.params) for cost in costs]
    columns["macs"] = [_count(cost.macs, known) for cost, known in zip(costs, complete, strict=True)]
    columns["share of macs"] = [*(_share(group.cost.macs, totals.macs) for group in groups), ""]
    columns["flops"] = [_count(cost.flops, known) for cost, known in zip(costs, complete, strict=True)]
    columns["memory access"] = [_count(cost.memory_access) for cost in costs]
    columns["flops a byte"] = [_intensity(cost, report.itemsize) for cost in costs]
    return columns


def _intensity(cost: Cost, itemsize: int) -> str:
    value = cost.arithmetic_intensity(itemsize)
    return "?" if value is None else f"{value:.2f}"


def table(report: Report, by: str | None = None, width: int = 80) -> RenderableType:
    """The report for people, `width` cells wide or less unless even the fewest columns need more."""
    columns = _columns(report, by or "module")
    left_out = fit(columns, DROPPED, width)
    grid = grid_of(columns, width, total=True)
    lines = [*map(Text, summary(report)), *left_out]
    return Stack(grid, Text(), *lines, Text(provenance(report), style="dim"))


def summary(report: Report) -> list[str]:
    """The lines below a table: exact totals, and what they leave out."""
    exact = headline(report)
    digits = {name: "?" if n is None else f"{n:,}" for name, (n, _) in exact.items()}
    width = max(map(len, digits.values()))
    lines = [f"{name:<13}  {digits[name]:>{width}}  {note}".rstrip() for name, (_, note) in exact.items()]
    if report.uncounted:
        lines.append("not counted, so that macs and flops are lower bounds:")
        lines += [f"  {operator}: {where}" for operator, where in places(report).items()]
    return lines + remarks(report)


def headline(report: Report) -> dict[str, tuple[Count, str]]:
    """Each total by its name, with what there is to add to it."""
    cost, size = report.totals, report.itemsize
    intensity = cost.arithmetic_intensity(size)
    return {
        "params": (cost.params, f"{si_bytes(cost.params_bytes(size))} of {report.dtype}"),
        "macs": (cost.macs, ""),
        "flops": (cost.flops, "" if intensity is None else f"{intensity:.2f} a byte accessed"),
        "activations": (cost.activations, ""),
        "memory access": (
            cost.memory_access,
            f"{cost.reads:,} read, {cost.writes:,} written: {si_bytes(cost.memory_access_bytes(size))}",
        ),
    }


def remarks(report: Report) -> list[str]:
    """A line each: what ran free, parameters without use, and how the report was made."""
    lines = []
    if report.free:
        lines.append("free: " + ", ".join(f"{name} x {n}" for name, n in report.free.items()))
    if report.unused_params:
        where = Counter(name.split(".")[0] for name in report.unused_params)
        lines.append("parameters never read: " + ", ".join(f"{n} in {top}" for top, n in where.items()))
    return lines + [f"note: {note}" for note in report.notes]


def places(report: Report) -> dict[str, str]:
    """Each operator that was not counted, with how often it ran and where first."""
    by_operator: dict[str, list[Uncounted]] = {}
    for uncounted in report.uncounted:
        by_operator.setdefault(uncounted.operator, []).append(uncounted)
    return {
        operator: f"{sum(u.times for u in found)} x, in {found[0].path or '(model)'}"
        + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        for operator, found in by_operator.items()
    }


def provenance(report: Report) -> str:
    """One line: the model and its options, the input, the method, the convention and the versions."""
    options = "".join(f" {name}={value}" for name, value in report.options.items())
    inputs = " ".join(map(shape, report.input))
    made_by = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"{report.model}{options} | input {inputs} | {report.method} | convention {CONVENTION} | {made_by}"


def as_table(report: Report, by: str | None = None) -> str:
    """`table` as text without colour, as wide as the terminal."""
    width = Console().width
    return plain(table(report, by, width), width)


def markdown(report: Report, by: str | None = None) -> str:
    """A Markdown table of exact counts, with the totals and the provenance below."""
    by = by or "module"
    headings = [by, "kind" if by in ("op", "module") else "ops", "output"]
    headings += ["params", "macs", "flops", "memory access", "flops a byte"]

    def line(key: str, what: str | int, output: str, cost: Cost, complete: bool) -> list[object]:
        bounds = [n if complete or n is None else f"≥ {n:,}" for n in (cost.macs, cost.flops)]
        intensity = cost.arithmetic_intensity(report.itemsize)
        return [key, what, output, cost.params, *bounds, cost.memory_access, intensity]

    body = [
        line(
            group.key or "(model)",
            kind_of(group) if by in ("op", "module") else len(group.rows),
            "" if by == "kind" else output_of(group),
            group.cost,
            group.complete,
        )
        for group in report.by(by)
    ]
    body.append(line("total", f"{len(report.rows)} ops", "", report.totals, report.complete))
    notes = [*summary(report), "", provenance(report)]
    return markdown_table(headings, body) + "\n```text\n" + "\n".join(notes) + "\n```\n"


def csv(report: Report, by: str | None = None) -> str:
    """The rows' columns and nothing else; shapes as '1x3x224x224', several separated by spaces."""

    def cell(value: Any) -> Any:
        return " ".join(map(shape, value)) if isinstance(value, list) else value

    records = [{name: cell(value) for name, value in row.items()} for row in report.records(by)]
    return comma_separated(report.columns(by), records)


def document(report: Report, by: str | None = None) -> dict[str, Any]:
    """The report as the JSON document of schema `SCHEMA`."""
    return {
        "schema": SCHEMA,
        "model": report.model,
        "options": {name: _json_option(value) for name, value in report.options.items()},
        "input": [list(sizes) for sizes in report.input],
        "method": report.method,
        "convention": CONVENTION,
        "versions": dict(report.versions),
        "dtype": report.dtype,
        "complete": report.complete,
        "totals": report.totals.as_dict(report.itemsize),
        "rows": report.records(by),
        "uncounted": [asdict(uncounted) for uncounted in report.uncounted],
        "free": dict(report.free),
        "unused_params": list(report.unused_params),
        "notes": list(report.notes),
    }


def _json_option(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def json(report: Report, by: str | None = None) -> str:
    """The JSON document of schema `SCHEMA`."""
    return dump(document(report, by))


def html(report: Report, by: str | None = None) -> str:
    """An HTML table for notebooks, in the notebook's own colours."""
    notes = [*summary(report), provenance(report)]
    return html_table(_columns(report, by or "module"), total=True) + html_notes(notes)


def html_cost(cost: Cost) -> str:
    """A cost as an HTML table: a row for each of its counts, exactly."""

    def cell(count: Any) -> str:
        return "?" if count is None else f"{count:,}" if isinstance(count, int) else str(count)

    names = [name for name in cost.as_dict() if "bytes" not in name and name != "arithmetic_intensity"]
    counts = [cell(getattr(cost, name)) for name in names]
    return html_table({"what": [name.replace("_", " ") for name in names], "count": counts})


def page(report: Report, by: str | None = None) -> str:
    """The report as one HTML file that needs nothing else; see `render.page`."""
    from mbanalyze.report.page import page

    return page(report, by)


FORMATS: dict[str, Callable[[Report, str | None], str]] = {
    "table": as_table,
    "markdown": markdown,
    "csv": csv,
    "json": json,
    "html": page,
}


def present(
    report: Report, format: str, by: str | None, agreement: Agreement | None, width: int
) -> RenderableType:
    """A report in one of `FORMATS`, and with it a check where the format has a place for one (CSV has none)."""
    if format == "table":
        parts = [table(report, by, width)]
        return Stack(*parts, Text(), agreement_table(agreement, width)) if agreement else parts[0]
    if format == "html" and agreement:
        from mbanalyze.report.page import page

        return page(report, by, agreement)
    if format == "json" and agreement:
        return dump({**document(report, by), "check": agreement.as_dict()})
    text = report.to(format, by)
    return f"{text}\n{agreement_markdown(agreement)}" if format == "markdown" and agreement else text
