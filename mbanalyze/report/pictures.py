"""Two SVG pictures of a report that are quick to draw: shares by kind, and shares along depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from mbanalyze.display.records import one_line
from mbanalyze.ops.cost import Cost, total
from mbanalyze.report.network import Report
from mbanalyze.report.runs import runs

COLORS = {"macs": "#0072B2", "params": "#E69F00", "memory_access": "#009E73"}
"""The counts that are shown, each with a colour that is legible on light and dark pages."""
WIDTH, HEIGHT = 450, 260
"""The size of a picture, in pixels."""
KINDS = 5
"""The number of kinds with bars of their own."""
BARS = 300
"""The number of bars along depth, each at least a pixel wide; the bars of a longer report are runs of operators."""
LEFT, TOP = 110, 24
"""The space for names and for the legend, in pixels."""


def pictures(report: Report) -> str:
    """Return both pictures, next to each other."""
    return f'<div style="display: flex; flex-wrap: wrap">{shares(report)}{profile(report)}</div>'


def shares(report: Report) -> str:
    """Return bars: each kind's share of each count, in per cent."""
    kinds = [(group.key, group.cost) for group in report.by("kind")]
    each = _shares([cost for _, cost in kinds])
    order = sorted(range(len(kinds)), key=lambda i: -max(each[name][i] for name in COLORS))
    shown = [kinds[i] for i in order[:KINDS]]
    if rest := [kinds[i][1] for i in order[KINDS:]]:
        shown.append((f"{len(rest)} more", total(rest)))
    each = _shares([cost for _, cost in shown])
    return _svg("share by kind (%)", _bars([kind for kind, _ in shown], each))


def _bars(kinds: Sequence[str], each: dict[str, list[float]]) -> Iterator[str]:
    for j, (name, color) in enumerate(COLORS.items()):
        yield _bar(LEFT + 80 * j, 3, 9, 9, color)
        yield _text(LEFT + 80 * j + 13, 11, name.replace("_", " "))
    row = (HEIGHT - TOP) / max(len(kinds), 1)
    for i, kind in enumerate(kinds):
        yield _text(LEFT - 6, TOP + (i + 0.58) * row, kind, "end")
        for j, (name, color) in enumerate(COLORS.items()):
            share, y, thick = each[name][i], TOP + i * row + (j + 0.35) * row / 4, row / 4
            length = share / 100 * (WIDTH - LEFT - 40)
            yield _bar(LEFT, y, length, thick, color)
            yield _text(LEFT + length + 4, y + thick - 1, f"{share:.1f}" if share else "", size=9)


def profile(report: Report) -> str:
    """Return strips: each bar's share of each count in order of execution, scaled to the largest share."""
    bars = runs(report.rows, BARS)
    each = "operator by operator" if len(bars) == len(report.rows) else f"{len(bars[0])} operators a bar"
    return _svg(f"share along depth, {each}", _strips([total([row.cost for row in bar]) for bar in bars]))


def _strips(costs: Sequence[Cost]) -> Iterator[str]:
    each = _shares(costs)
    strip, step = (HEIGHT - TOP) / len(COLORS), (WIDTH - LEFT - 10) / max(len(costs), 1)
    for j, (name, color) in enumerate(COLORS.items()):
        most, base = max(each[name], default=0) or 1, TOP + (j + 1) * strip
        yield _text(LEFT - 6, base - strip / 2, name.replace("_", " "), "end")
        yield _text(LEFT - 6, base - strip / 2 + 14, f"up to {most:.1f} %", "end")
        yield _bar(LEFT, base - 0.5, WIDTH - LEFT - 10, 0.5, "currentColor")
        for i, share in enumerate(each[name]):
            height = share / most * (strip - 8)
            yield _bar(LEFT + i * step, base - height, 0.75 * step, height, color) if share else ""


def _shares(costs: Sequence[Cost]) -> dict[str, list[float]]:
    """Each cost's share of each count, in per cent of the sum."""
    counts = {name: [getattr(cost, name) or 0 for cost in costs] for name in COLORS}
    return {name: [100 * n / (sum(some) or 1) for n in some] for name, some in counts.items()}


def _svg(title: str, parts: Iterator[str]) -> str:
    box = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg {box} role="img" fill="currentColor">{_text(0, 11, title)}{"".join(parts)}</svg>'


def _bar(x: float, y: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {where}>{escape(one_line(text))}</text>"
