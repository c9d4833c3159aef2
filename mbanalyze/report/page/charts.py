"""The data of a page's charts: numbers for areas and heights, and escaped text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate, groupby
from typing import Any

from mbanalyze.display.units import si
from mbanalyze.ops.cost import Cost, Count
from mbanalyze.report.network import Report
from mbanalyze.report.page.tree import Node, tree
from mbanalyze.report.rows import Row, block

MEASURES = {
    "macs": "multiply-accumulates",
    "flops": "FLOPs",
    "params": "params",
    "activations": "activations",
    "memory_access": "memory access",
}
"""The measures that areas and heights can show: attributes of `Cost`, and their names."""

COLORS = 7
"""The number of kinds with a colour of their own; the others share one."""

MODULE = -1
"""The colour index of a module with several operators."""

NAMED = 5
"""The number of blocks or operators that a caption names."""


def exact(count: Count, complete: bool = True) -> str:
    """Return all digits of a count; '?' if unknown, marked '≥' if it is a lower bound."""
    return "?" if count is None else f"{'' if complete else '≥ '}{count:,}"


def short(count: Count, complete: bool = True) -> str:
    """Return a count to four significant digits, marked as in `exact`."""
    return "?" if count is None else f"{'' if complete else '≥ '}{si(count)}"


def share(part: Count, whole: Count) -> float | None:
    """Return `part` of `whole` in per cent; None if either is unknown or the whole is zero."""
    return None if part is None or not whole else 100 * part / whole


def charts(report: Report) -> dict[str, Any]:
    """Return all data that the page's script reads, ready for JSON."""
    kinds = _kinds(report.rows)
    return {
        "measures": MEASURES,
        "kinds": kinds if {row.type for row in report.rows} <= {*kinds} else [*kinds, "other"],
        "modules": _modules(tree(report), kinds),
        "operators": _operators(report, kinds),
        "captions": {
            measure: {"modules": largest_blocks(report, measure), "operators": largest_rows(report, measure)}
            for measure in MEASURES
        },
    }


def _kinds(rows: Sequence[Row]) -> list[str]:
    """The kinds with the most memory access, the largest first."""
    found: dict[str, int] = {}
    for row in rows:
        found[row.type] = found.get(row.type, 0) + row.cost.memory_access
    return sorted(found, key=lambda name: -found[name])[:COLORS]


def _color(row: Row, kinds: list[str]) -> int:
    return kinds.index(row.type) if row.type in kinds else len(kinds)


def _modules(nodes: Sequence[Node], kinds: list[str]) -> dict[str, Any]:
    """The nodes of the icicle by column."""
    return {
        "labels": [escape(node.label) for node in nodes],
        "parents": [node.parent for node in nodes],
        "paths": [node.path or "(model)" for node in nodes],
        "holders": sorted({node.parent for node in nodes if node.parent is not None}),
        "kinds": [_color(node.rows[0], kinds) if len(node.rows) == 1 else MODULE for node in nodes],
        "values": _values(node.cost for node in nodes),
        "texts": [_text(node.path, node.rows, node.cost, node.complete) for node in nodes],
    }


def _operators(report: Report, kinds: list[str]) -> dict[str, Any]:
    """The bars of the profile by column, and the first bar of each block."""
    blocks = [(name, len(list(rows))) for name, rows in groupby(block(row.op.path) for row in report.rows)]
    starts = accumulate((length for _, length in blocks), initial=0)
    return {
        "kinds": [_color(row, kinds) for row in report.rows],
        "values": _values(row.cost for row in report.rows),
        "texts": [_text(row.op.path, (row,), row.cost, True) for row in report.rows],
        "blocks": [
            [escape(name or "(model)"), start] for (name, _), start in zip(blocks, starts, strict=False)
        ],
    }


def _values(costs: Iterable[Cost]) -> dict[str, list[int]]:
    """The numbers of each measure; unknown is 0."""
    costs = list(costs)
    return {measure: [getattr(cost, measure) or 0 for cost in costs] for measure in MEASURES}


def _text(path: str, rows: Sequence[Row], cost: Cost, complete: bool) -> str:
    """The tooltip of a node, with names escaped."""
    what = rows[0].type if len(rows) == 1 else f"{len(rows)} operators"
    counts = [
        f"{exact(getattr(cost, measure), complete or measure in ('params', 'memory_access'))} {name}"
        for measure, name in MEASURES.items()
    ]
    return "<br>".join([f"<b>{escape(path or '(model)')}</b>", escape(what), *counts])


def largest_blocks(report: Report, measure: str) -> str:
    """Return a caption that names the blocks with the largest share of a measure."""
    return _largest(((group.key or "(model)", group.cost) for group in report.by("block")), measure)


def largest_rows(report: Report, measure: str) -> str:
    """Return a caption that names the operators with the largest share of a measure."""
    named = ((f"{row.op.path or '(model)'} ({row.type})", row.cost) for row in report.rows)
    return _largest(named, measure)


def _largest(named: Iterable[tuple[str, Cost]], measure: str) -> str:
    counts = [(name, getattr(cost, measure) or 0) for name, cost in named]
    whole = sum(count for _, count in counts)
    first = sorted(counts, key=lambda pair: -pair[1])[:NAMED]
    told = [f"{name} {share(count, whole):.1f} %" for name, count in first if count]
    return f"Most {MEASURES[measure]}: {', '.join(told)}." if told else f"No {MEASURES[measure]} are known."
