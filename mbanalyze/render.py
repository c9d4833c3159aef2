"""Results as text: `FORMATS` maps a format's name to a function `(report, by) -> str`."""

from __future__ import annotations

import csv as csv_writer
import io
import json as json_writer
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from mbanalyze.cost import Cost, si
from mbanalyze.report import CONVENTION, Group, Report

if TYPE_CHECKING:
    from mbanalyze.crosscheck import Agreement

SCHEMA = "mbanalyze.report/1"
BAR = 6
DROPPED = ("flops a byte", "output", "flops", "memory access", "kind", "ops", "share of macs")
"""Columns of the table that give way, in this order, when it is too wide."""
LEFT = ("op", "module", "block", "kind", "output", "share of macs", "what", "reason")
"""Columns of words; the others hold numbers, aligned on the right."""


def shape(sizes: Sequence[int]) -> str:
    """`(1, 3, 224, 224)` -> '1x3x224x224'."""
    return "x".join(map(str, sizes))


def _output(group: Group) -> str:
    return " ".join(shape(value.shape) for value in group.rows[-1].op.output)


def _kind(group: Group) -> str:
    kinds = {(row.op.kind, row.op.variant or "") for row in group.rows}
    if len(kinds) > 1:
        return f"{len(group.rows)} ops"
    (kind,) = kinds
    return " ".join(kind).strip() + (f" x {len(group.rows)}" if len(group.rows) > 1 else "")


def _count(count: int | None) -> str:
    return "?" if count is None else si(count)


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
    columns = {by: [*(group.key or "(model)" for group in groups), "total"]}
    if by in ("op", "module"):
        columns["kind"] = [*map(_kind, groups), f"{len(report.rows)} ops"]
    else:
        columns["ops"] = [*(str(len(group.rows)) for group in groups), str(len(report.rows))]
    if by != "kind":
        columns["output"] = [*map(_output, groups), ""]
    columns["params"] = [si(cost.params) if cost.params else "" for cost in costs]
    columns["macs"] = ["" if cost.macs == 0 else _count(cost.macs) for cost in costs]
    columns["share of macs"] = [*(_share(group.cost.macs, totals.macs) for group in groups), ""]
    columns["flops"] = [_count(cost.flops) for cost in costs]
    columns["memory access"] = [si(cost.memory_access) for cost in costs]
    columns["flops a byte"] = [_intensity(cost, report.itemsize) for cost in costs]
    return columns


def _intensity(cost: Cost, itemsize: int) -> str:
    value = cost.arithmetic_intensity(itemsize)
    return "?" if value is None else f"{value:.2f}"


def _heading(heading: str) -> str:
    """A heading of several words takes two lines above a column of numbers."""
    return heading if heading in LEFT else "\n".join(heading.split(" ", 1))


def _width(columns: dict[str, list[str]]) -> int:
    """Cells that the columns need side by side, two between neighbours."""
    needed = (max(map(len, [*_heading(heading).split("\n"), *cells])) for heading, cells in columns.items())
    return sum(needed) + 2 * (len(columns) - 1)


def _fit(columns: dict[str, list[str]], width: int) -> list[str]:
    """Take columns out, in the order of `DROPPED`, until the rest fits; their names."""
    dropped: list[str] = []
    for heading in DROPPED:
        if heading in columns and _width(columns) > width:
            del columns[heading]
            dropped.append(heading)
    return dropped


def _grid(headings: Iterable[str], body: Iterable[Sequence[str]]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for heading in headings:
        bar = heading == "share of macs"
        grid.add_column(
            _heading(heading),
            justify="left" if heading in LEFT else "right",
            style="cyan" if bar else "",
            vertical="top",
            no_wrap=heading != "reason",
        )
    for cells in body:
        grid.add_row(*map(Text, cells))
    return grid


def table(report: Report, by: str | None = None, width: int = 80) -> RenderableType:
    """The report for people, at most `width` cells wide where the paths allow it."""
    columns = _columns(report, by or "module")
    needed = _width(columns)
    dropped = _fit(columns, width)
    *body, last = zip(*columns.values(), strict=True)
    grid = _grid(columns, body)
    grid.add_section()
    grid.add_row(*map(Text, last), style="bold")
    lines = [Text(line) for line in summary(report)]
    if dropped:
        left_out = f"not shown in {width} columns: {', '.join(dropped)} ({needed} would do)"
        lines.append(Text(left_out, style="dim"))
    return Stack(grid, Text(), *lines, Text(provenance(report), style="dim"))


def summary(report: Report) -> list[str]:
    """The lines below a table: exact totals, and what they leave out."""
    cost, size = report.totals, report.itemsize
    intensity = cost.arithmetic_intensity(size)
    exact = {
        "params": (cost.params, f"{si(cost.params_bytes(size))}B of {report.dtype}"),
        "macs": (cost.macs, ""),
        "flops": (cost.flops, "" if intensity is None else f"{intensity:.2f} a byte accessed"),
        "activations": (cost.activations, ""),
        "memory access": (
            cost.memory_access,
            f"{cost.reads:,} read, {cost.writes:,} written: {si(cost.memory_access_bytes(size))}B",
        ),
    }
    digits = {name: "?" if n is None else f"{n:,}" for name, (n, _) in exact.items()}
    width = max(map(len, digits.values()))
    lines = [f"{name:<13}  {digits[name]:>{width}}  {note}".rstrip() for name, (_, note) in exact.items()]
    if report.uncounted:
        where = (
            f"{u.operator} in {u.path or '(model)'}" + (f" x {u.times}" if u.times > 1 else "")
            for u in report.uncounted
        )
        lines.append("not counted, so macs and flops are lower bounds: " + ", ".join(where))
    if report.free:
        lines.append("free: " + ", ".join(f"{name} x {n}" for name, n in report.free.items()))
    if report.unused_params:
        lines.append("parameters never read: " + ", ".join(report.unused_params))
    return lines


def provenance(report: Report) -> str:
    """One line: the model and its options, the input, the method, the convention and the versions."""
    options = "".join(f" {name}={value}" for name, value in report.options.items())
    inputs = " ".join(map(shape, report.input))
    made_by = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"{report.model}{options} | input {inputs} | {report.method} | convention {CONVENTION} | {made_by}"


def plain(renderable: RenderableType, width: int | None = None) -> str:
    """`renderable` as text without colour, `width` cells wide or as wide as the terminal."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def as_table(report: Report, by: str | None = None) -> str:
    """`table` as text without colour, as wide as the terminal."""
    width = Console().width
    return plain(table(report, by, width), width)


def markdown_table(headings: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    """A Markdown table: integers grouped by thousands, unknown as '?', numbers on the right."""

    def cell(value: object) -> str:
        if value is None:
            return "?"
        if isinstance(value, float):
            return f"{value:.3f}"
        return f"{value:,}" if type(value) is int else escape_markdown(str(value))

    rule = ["---" if heading in LEFT else "---:" for heading in headings]
    lines = (headings, rule, *body)
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def escape_markdown(text: str) -> str:
    """`text` so that it stays in its table cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def markdown(report: Report, by: str | None = None) -> str:
    """A Markdown table of exact counts, with the totals and the provenance below."""
    by = by or "module"
    headings = [by, "kind" if by in ("op", "module") else "ops", "output"]
    headings += ["params", "macs", "flops", "memory access", "flops a byte"]

    def line(key: str, what: str | int, output: str, cost: Cost) -> list[object]:
        counts = [cost.params, cost.macs, cost.flops, cost.memory_access]
        return [key, what, output, *counts, cost.arithmetic_intensity(report.itemsize)]

    body = [
        line(
            group.key or "(model)",
            _kind(group) if by in ("op", "module") else len(group.rows),
            "" if by == "kind" else _output(group),
            group.cost,
        )
        for group in report.by(by)
    ]
    body.append(line("total", f"{len(report.rows)} ops", "", report.totals))
    notes = [*summary(report), "", provenance(report)]
    return markdown_table(headings, body) + "\n```text\n" + "\n".join(notes) + "\n```\n"


def csv(report: Report, by: str | None = None) -> str:
    """The rows' columns and nothing else; shapes as '1x3x224x224', several separated by spaces."""

    def cell(value: Any) -> Any:
        return " ".join(map(shape, value)) if isinstance(value, list) else value

    out = io.StringIO()
    writer = csv_writer.DictWriter(out, report.columns(by), lineterminator="\n")
    writer.writeheader()
    for record in report.records(by):
        writer.writerow({name: cell(value) for name, value in record.items()})
    return out.getvalue()


def document(report: Report, by: str | None = None) -> dict[str, Any]:
    """The report as the JSON document of schema `SCHEMA`."""
    return {
        "schema": SCHEMA,
        "model": report.model,
        "options": dict(report.options),
        "input": [list(sizes) for sizes in report.input],
        "method": report.method,
        "convention": CONVENTION,
        "versions": dict(report.versions),
        "dtype": report.dtype,
        "complete": report.complete,
        "totals": report.totals.totals(report.itemsize),
        "rows": report.records(by),
        "uncounted": [asdict(uncounted) for uncounted in report.uncounted],
        "free": dict(report.free),
        "unused_params": list(report.unused_params),
    }


def dump(document: Any) -> str:
    """JSON text, ending in a newline."""
    return json_writer.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def json(report: Report, by: str | None = None) -> str:
    """The JSON document of schema `SCHEMA`."""
    return dump(document(report, by))


def html(report: Report, by: str | None = None) -> str:
    """An HTML table for notebooks, in the notebook's own colours."""
    columns = _columns(report, by or "module")
    head = "".join(f"<th>{escape(heading)}</th>" for heading in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for cells in zip(*columns.values(), strict=True)
    )
    notes = escape("\n".join([*summary(report), provenance(report)]))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><pre>{notes}</pre>"


FORMATS: dict[str, Callable[[Report, str | None], str]] = {
    "table": as_table,
    "markdown": markdown,
    "csv": csv,
    "json": json,
}


def agreement_table(agreement: Agreement) -> Table:
    """A check for people: a line for each comparison."""
    return _grid(*_agreement(agreement))


def agreement_markdown(agreement: Agreement) -> str:
    """A check as a Markdown table."""
    return markdown_table(*_agreement(agreement))


def _agreement(agreement: Agreement) -> tuple[list[str], list[list[str]]]:
    def count(value: int | None) -> str:
        return "" if value is None else f"{value:,}"

    body = [
        [c.what, count(c.ours), count(c.theirs), "yes" if c.agree else "NO", c.reason or ""]
        for c in agreement.comparisons
    ]
    return ["what", "ours", "theirs", "agree", "reason"], body


def models_table(known: Sequence[dict[str, Any]]) -> RenderableType:
    """The architectures for people: a heading each, and a line for each option."""
    parts: list[RenderableType] = []
    for model in known:
        grid = Table(box=None, padding=(0, 0, 0, 2), show_header=False)
        for option in model["options"]:
            grid.add_row(option["name"], option["type"], str(option["default"]), option["help"])
        heading = Text.assemble((model["name"], "bold"), f"  {model['paper']}")
        parts += [heading, grid, Text()]
    return Stack(*parts[:-1])
