"""Comparisons as text: totals first, then where the difference lies, the largest change on top."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.text import Text

from mbanalyze.comparison.comparison import Comparison, Part
from mbanalyze.comparison.stages import takes_images
from mbanalyze.display.records import comma_separated, one_line, shape
from mbanalyze.display.tables import LEFT, grid_of, html_notes, html_sections, markdown_table, plain, width_of
from mbanalyze.display.units import si
from mbanalyze.ops.cost import Count
from mbanalyze.report.rows import Group, group
from mbanalyze.report.summary import provenance

Columns = dict[str, list[str]]
Digits = Callable[[int], str]

SHOWN = {
    **{name: name for name in ("params", "macs", "flops", "activations", "reads", "writes")},
    "memory_access": "memory access",
    "arithmetic_intensity": "flops a byte",
}
"""The totals that people read, and what they read."""
CHANGES = ("macs", "memory_access", "params")
"""The changes that a table of two reports has room for."""
FIXED = 2
"""So many columns stand again in each of the tables that a wide one is cut into."""
DROPPED = ("status", "output", "kind", "params change", "memory access change", "was")
"""Columns of the layers that give way, in this order, when their table is too wide."""


def _exact(count: float) -> str:
    return f"{count:,}" if isinstance(count, int) else f"{count:,.2f}"


def _count(count: Any, complete: bool, digits: Digits = _exact) -> str:
    """A count: '?' when unknown, a lower bound marked as one, nothing for nothing."""
    if count is None:
        return "?"
    return f"{'' if complete else '≥ '}{digits(count)}" if count or not complete else ""


def _change(change: Count, digits: Digits) -> str:
    """A change with its sign: '?' when unknown, nothing for none."""
    if change is None:
        return "?"
    return f"{'+' if change > 0 else ''}{digits(change)}" if change else ""


def _beside(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Two columns in one, each aligned on the right."""
    a, b = max(map(len, left)), max(map(len, right))
    return [f"{x:>{a}}  {y:>{b}}" for x, y in zip(left, right, strict=True)]


def _headings(comparison: Comparison) -> list[str]:
    """The labels, so that none is the heading of another column."""
    return [f"({label})" if label in LEFT else label for label in comparison.labels]


def _totals(comparison: Comparison) -> Columns:
    """Exact totals of each report, and beside each but the first's its ratio to that."""
    columns = {"what": list(SHOWN.values())}
    for i, label in enumerate(_headings(comparison)):
        totals, ratios = comparison.totals[i], comparison.ratios[i]
        counts = [_count(totals[name], comparison.known(name, i)) for name in SHOWN]
        shares = ["?" if ratios[name] is None else f"x {ratios[name]:.3f}" for name in SHOWN]
        columns[label] = _beside(counts, shares) if i else counts
    return columns


def _shortened(parts: Sequence[Part], top: int) -> tuple[list[Part], list[Part]]:
    """The `top` parts that change most; then all others that change as one, and those that do not as one."""
    changed = [part for part in parts if not part.unchanged]
    same = [part for part in parts if part.unchanged]
    rest = {"more": changed[top:], "unchanged": same}
    return changed[:top], [_merged(f"({len(some)} {what})", some) for what, some in rest.items() if some]


def _merged(key: str, parts: Sequence[Part]) -> Part:
    sides = zip(*(part.groups for part in parts), strict=True)
    return Part(key, tuple(group(key, [row for some in side for row in some.rows]) for side in sides))


def _macs(comparison: Comparison, parts: Sequence[Part], i: int, digits: Digits) -> list[str]:
    """The macs of each part in report `i`, and the total."""
    counts = [_count(part.counts("macs")[i], part.groups[i].complete, digits) for part in parts]
    return [*counts, _count(comparison.totals[i]["macs"], comparison.known("macs", i), digits)]


def _changes(comparison: Comparison, parts: Sequence[Part], name: str, i: int, digits: Digits) -> list[str]:
    """The change of each part in report `i`, and that of the total."""
    changes = [*(part.changes(name)[i] for part in parts), comparison.changes(name)[i]]
    return [_change(change, digits) for change in changes]


def _two(comparison: Comparison, parts: Sequence[Part], digits: Digits) -> Columns:
    return {f"{SHOWN[name]} change": _changes(comparison, parts, name, 1, digits) for name in CHANGES}


def _parts(comparison: Comparison, what: str, parts: Sequence[Part], top: int, digits: Digits) -> Columns:
    """Macs in each report and their change, and of two reports other changes."""
    if len(comparison.labels) > 2:
        top = min(top, sum(any(count != 0 for count in part.counts("macs")) for part in parts))
    shown = [part for some in _shortened(parts, top) for part in some]
    columns = {what: [*(one_line(part.key) for part in shown), "total"]}
    for i, label in enumerate(_headings(comparison)):
        columns[label] = _macs(comparison, shown, i, digits)
        if i and len(comparison.labels) > 2:
            changes = _changes(comparison, shown, "macs", i, digits)
            columns[label] = _beside(columns[label], changes)
    return {**columns, **_two(comparison, shown, digits)} if len(comparison.labels) == 2 else columns


def _layers(comparison: Comparison, layers: Sequence[Part], top: int, digits: Digits) -> Columns:
    """The layers of two reports; `was` is the path of one that was renamed."""
    shown, rest = _shortened(layers, top)
    every, blank = [*shown, *rest], [""] * (len(rest) + 1)

    def turned(of: Callable[[Group], str]) -> list[str]:
        return [" → ".join(dict.fromkeys(of(g) for g in part.groups if g.rows)) for part in shown] + blank

    return {
        "layer": [*(_path(part.key) for part in shown), *(part.key for part in rest), "total"],
        "was": [_path(p.groups[0].key) if p.status == "renamed" else "" for p in shown] + blank,
        "kind": turned(lambda group: " + ".join(group.kinds)),
        "output": turned(lambda group: " ".join(map(shape, group.output))),
        "macs before": _macs(comparison, every, 0, digits),
        "macs after": _macs(comparison, every, 1, digits),
        **_two(comparison, every, digits),
        "status": [part.status for part in shown] + blank,
    }


def _path(path: str) -> str:
    return one_line(path) or "(model)"


def _sections(comparison: Comparison, top: int, digits: Digits) -> dict[str, Columns]:
    """A table for each heading."""
    stage = "stage" if all(map(takes_images, comparison.reports)) else "block"
    sections = {
        "Totals, and their ratios to the first": _totals(comparison),
        "Macs by kind": _parts(comparison, "kind", comparison.by_kind, top, digits),
        f"Macs by {stage}": _parts(comparison, stage, comparison.by_stage, top, digits),
    }
    if comparison.layers is not None:
        sections["Layers that change most"] = _layers(comparison, comparison.layers, top, digits)
    return sections


def _notes(comparison: Comparison) -> list[str]:
    """What was not counted, and where each report comes from."""
    lines = []
    for label, report in zip(comparison.labels, comparison.reports, strict=True):
        if report.uncounted:
            missing = ", ".join(dict.fromkeys(u.operator for u in report.uncounted))
            lines.append(f"not counted in {label}, so that its macs and flops are lower bounds: {missing}")
    return [one_line(line) for line in [*lines, *map(provenance, comparison.reports)]]


def _headed(columns: Columns) -> Columns:
    """The columns with each word of a heading on a line of its own."""
    return {name.replace(" ", "\n"): cells for name, cells in columns.items()}


def _pages(columns: Columns, width: int) -> Iterator[Columns]:
    """A table as several no wider than `width`, each with the fixed columns and at least one more."""
    names = list(columns)
    page = names[: FIXED + 1]
    for name in names[FIXED + 1 :]:
        if width_of(_headed({shown: columns[shown] for shown in [*page, name]})) > width:
            yield {shown: columns[shown] for shown in page}
            page = names[:FIXED]
        page.append(name)
    yield {shown: columns[shown] for shown in page}


def _fitting(columns: Columns, width: int) -> Iterator[Columns]:
    """The table of layers with fewer columns, other tables cut."""
    if "layer" not in columns:
        yield from _pages(columns, width)
        return
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    for heading in DROPPED:
        if width_of(_headed(columns)) > width:
            columns = {name: cells for name, cells in columns.items() if name != heading}
    yield columns


def table(comparison: Comparison, width: int = 80, top: int = 10) -> RenderableType:
    """The comparison for people, `width` cells wide or less unless even the fewest columns need more.

    Args:
        top: so many kinds, stages and layers are told one by one.
    """
    parts: list[RenderableType] = []
    for heading, columns in _sections(comparison, top, si).items():
        parts.append(Text(heading, style="bold"))
        for page in _fitting(columns, width):
            grid = grid_of(_headed(page), width, total=not heading.startswith("Totals"))
            for column in grid.columns:
                column.header = Text(str(column.header))  # a model's name is no markup
            parts += [grid, Text()]
    return Stack(*parts, *(Text(line, style="dim") for line in _notes(comparison)))


def as_table(comparison: Comparison) -> str:
    """`table` as text without colour, as wide as the terminal."""
    width = Console().width
    return plain(table(comparison, width), width)


def markdown(comparison: Comparison, top: int = 10) -> str:
    """The same as Markdown, with exact counts."""
    sections = []
    for heading, columns in _sections(comparison, top, _exact).items():
        headings = [_unpadded(name) for name in columns]
        body = [[_unpadded(cell) for cell in line] for line in zip(*columns.values(), strict=True)]
        sections.append(f"## {heading}\n\n{markdown_table(headings, body)}\n")
    return "".join(sections) + "```text\n" + "\n".join(_notes(comparison)) + "\n```\n"


def _unpadded(cell: str) -> str:
    """A cell of a Markdown table: no HTML, and no more spaces than show."""
    return escape(" ".join(cell.split()), quote=False)


def csv(comparison: Comparison) -> str:
    """A line for each report: its label, its totals, and their ratios to the first report's."""
    records = comparison.records("totals")
    return comma_separated(list(records[0]), records)


def html(comparison: Comparison, top: int = 10) -> str:
    """HTML tables for notebooks, in the notebook's own colours."""
    return html_sections(_sections(comparison, top, si).items()) + html_notes(_notes(comparison))
