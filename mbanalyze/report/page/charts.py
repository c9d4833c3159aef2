"""The data of a page's charts: numbers for areas and heights, and escaped text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Any

from mbanalyze.display.units import si
from mbanalyze.ops.cost import Cost, Count, total
from mbanalyze.report.convention_rows import macs_name
from mbanalyze.report.network import Report
from mbanalyze.report.page.terms import AXES, MEASURES, measures
from mbanalyze.report.page.tree import Node, tree
from mbanalyze.report.rows import Row, block
from mbanalyze.report.runs import runs

COLORS = 7
"""The number of kinds with a colour of their own; the others share one."""

MODULE = -1
"""The colour index of a module with several operators."""

BARS = 1000
"""The number of bars at most; the bars of a longer report are runs of operators."""

BANDS = 200
"""The number of blocks that are shaded at most; more would be too narrow to see."""

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
        "measures": list(measures(report.other_convention).items()),
        "axes": AXES | {"macs": macs_name(AXES["macs"], report.other_convention)},
        "kinds": kinds if {row.type for row in report.rows} <= {*kinds} else [*kinds, "other"],
        "modules": _modules(tree(report), kinds),
        "operators": _operators(report, kinds),
        "captions": _captions(report),
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
    """The nodes of the icicle by column, and the index and name of each that has children."""
    holders = {node.parent for node in nodes if node.parent is not None}
    return {
        "labels": [escape(node.label) for node in nodes],
        "parents": [node.parent for node in nodes],
        "holders": [[at, nodes[at].path or "(model)"] for at in sorted(holders)],
        "kinds": [_color(node.rows[0], kinds) if len(node.rows) == 1 else MODULE for node in nodes],
        "tips": [_tip(node.path, node.rows, node.cost, node.complete) for node in nodes],
    }


def _operators(report: Report, kinds: list[str]) -> dict[str, Any]:
    """The bars of the profile by column, and the first operator of each block."""
    bars = runs(report.rows, BARS)
    named = groupby(enumerate(report.rows), key=lambda pair: block(pair[1].op.path))
    blocks = [[escape(name or "(model)"), next(rows)[0]] for name, rows in named]
    return {
        "count": len(report.rows),
        "length": len(bars[0]) if bars else 1,
        "kinds": [_color(max(bar, key=lambda row: row.cost.memory_access), kinds) for bar in bars],
        "tips": [_bar_tip(bar) for bar in bars],
        "blocks": blocks,
        "shaded": len(blocks) <= BANDS,
    }


def _bar_tip(bar: Sequence[Row]) -> list[str]:
    """The tooltip of a bar."""
    if len(bar) == 1:
        return _tip(bar[0].op.path, bar, bar[0].cost, True)
    path = f"{bar[0].op.path or '(model)'} to {bar[-1].op.path or '(model)'}"
    return _tip(path, bar, total([row.cost for row in bar]), all(row.cost.flops is not None for row in bar))


def _tip(path: str, rows: Sequence[Row], cost: Cost, complete: bool) -> list[str]:
    """The tooltip of a node or bar: its escaped name and kind, and the count of each measure."""
    what = rows[0].type if len(rows) == 1 else f"{len(rows)} operators"
    counts = [
        exact(getattr(cost, measure), complete or measure in ("params", "memory_access"))
        for measure in MEASURES
    ]
    return [escape(path or "(model)"), escape(what), *counts]


def _captions(report: Report) -> dict[str, dict[str, str]]:
    """Sentences that name the blocks and the operators with the largest share of each measure."""
    blocks = [(group.key or "(model)", group.cost) for group in report.by("block")]
    named = [(f"{row.op.path or '(model)'} ({row.type})", row.cost) for row in report.rows]
    return {
        measure: {"modules": _largest(blocks, measure), "operators": _largest(named, measure)}
        for measure in MEASURES
    }


def _largest(named: Iterable[tuple[str, Cost]], measure: str) -> str:
    counts = [(name, getattr(cost, measure) or 0) for name, cost in named]
    whole = sum(count for _, count in counts)
    first = sorted(counts, key=lambda pair: -pair[1])[:NAMED]
    told = [f"{name} {share(count, whole):.1f} %" for name, count in first if count]
    return f"Most {MEASURES[measure]}: {', '.join(told)}." if told else f"No {MEASURES[measure]} are known."
