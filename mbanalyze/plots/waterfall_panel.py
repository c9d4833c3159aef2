"""One panel of a waterfall: bars with their names and amounts, on an axis that says where it begins."""

from __future__ import annotations

from collections.abc import Container, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.patches import Patch
from matplotlib.ticker import Formatter, MaxNLocator, StrMethodFormatter

from mbanalyze.crosscheck.explained_totals import CounterResult
from mbanalyze.display.records import one_line
from mbanalyze.display.units import si
from mbanalyze.plots import drawing
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.waterfall_bars import Bar, Role, axis_start

LOOKS: dict[Role, tuple[str, str, str]] = {
    "total": ("0.5", "", "total"),
    "more": ("#E69F00", "", "counted more"),
    "less": ("#0072B2", "/////", "counted less"),
    "unexplained": ("#D55E00", "xxxxx", "unexplained"),
}
"""The colour, the hatch and the entry of the legend for the bars of each role."""
PRECISION = 10_000
"""The largest ratio of a count to the length of its axis for which ticks have an SI prefix and six digits."""
THICKNESS = 0.72
"""The height of a bar, as a fraction of the distance between bars."""


def draw_panel(ax: Axes, bars: Sequence[Bar], longest: int) -> None:
    """Draw the bars of a counter, with their names and amounts.

    Args:
        ax: the axes.
        bars: the bars, from our macs to the total.
        longest: the largest number of characters of a name.
    """
    for row, bar in enumerate(bars):
        _draw_bar(ax, row, bar)
    for row, bar in enumerate(bars[:-1]):
        ax.plot([bar.end, bar.end], [row, row + 1], color="0.3", linewidth=0.6, zorder=1)
    ax.set_yticks(range(len(bars)), [_shortened(one_line(bar.label), longest) for bar in bars])
    ax.set_ylim(len(bars) - 0.4, -0.6)
    drawing.style_axes(ax, "-", " ")
    ax.grid(visible=False, axis="y")


def fit_panel(ax: Axes, bars: Sequence[Bar], result: CounterResult) -> None:
    """Set the title, the axis and its label, for the width that the layout gave to the panel."""
    start = axis_start(bars)
    drawing.set_title(ax, _heading(bars, result))
    shown = _limit(ax, max(max(bar.start, bar.end) for bar in bars), start)
    label = _axis_label(result, shown(start) if start else "")
    ax.set_xlabel(drawing.wrapped(ax, label, drawing.TEXT))
    if start > 0:
        _break_bars(ax, [row for row, bar in enumerate(bars) if bar.start < start])


def legend_of(roles: Container[Role]) -> list[Patch]:
    """Return an entry of the legend for each role."""
    return [
        Patch(facecolor=color, hatch=hatch, edgecolor="white", linewidth=0, label=text)
        for role, (color, hatch, text) in LOOKS.items()
        if role in roles
    ]


def _draw_bar(ax: Axes, row: int, bar: Bar) -> None:
    """Draw a bar with its amount; a difference has an arrow head at its end, which shows its sign without colour."""
    color, hatch, _ = LOOKS[bar.role]
    ax.barh(
        row, bar.end - bar.start, THICKNESS, bar.start, color=color, hatch=hatch, edgecolor="white", linewidth=0,
        gid=bar.role,
    )  # fmt: skip
    if bar.role in ("more", "less"):
        head = CARETRIGHT if bar.role == "more" else CARETLEFT
        ax.plot(bar.end, row, marker=head, color="black", markersize=3.5, zorder=3)
    ax.annotate(
        _amount(bar), (max(bar.start, bar.end), row), (5, 0), textcoords="offset points", va="center",
        fontsize=drawing.SMALL - 0.5,
    )  # fmt: skip


def _shortened(text: str, longest: int) -> str:
    """A text of at most `longest` characters; the end of a longer one is left out."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _amount(bar: Bar) -> str:
    """The amount of a bar; that of a difference has a sign."""
    amount = bar.end - bar.start
    sign = "" if bar.role == "total" else "+" if amount >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{si(abs(amount))}"


def _heading(bars: Sequence[Bar], result: CounterResult) -> str:
    """The counter, its total and the gap from our macs: 'fvcore 0.1.5: 314,193,216 macs (+4.46 %)'."""
    ours, total = bars[0].end, bars[-1].end
    return f"{result.counter} {result.version}: {total:,} {result.unit} ({_gap(ours, total)})"


def _gap(ours: int, total: int) -> str:
    """The gap of a total from our macs, in per cent of these."""
    if ours == total:
        return "equal to ours"
    sign = "+" if total > ours else "\N{MINUS SIGN}"
    per_cent = f"{100 * abs(total - ours) / ours:,.2f}" if ours else "?"
    return f"{sign}{per_cent} %" if per_cent != "0.00" else f"less than {sign}0.01 %"


def _axis_label(result: CounterResult, start: str) -> str:
    unit = "macs" if result.unit == "macs" else f"macs and {result.unit}"
    return f"{unit} (axis begins at {start}, not 0)" if start else unit


def _limit(ax: Axes, high: int, start: int) -> Formatter:
    """Set the limits of the axis, with room for the amounts, and its ticks; return the format of a tick."""
    length = drawing.axis_length(ax, "x")
    room = 9 * drawing.CHARACTER * drawing.SMALL + 5
    ax.set_xlim(start, start + max(high - start, 1) * length / max(length - room, 40))
    set_ticks(ax, "x", pd.Series([float(high)]))
    if PRECISION * (high - start) < high:
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    shown = ax.xaxis.get_major_formatter()
    width = (max(len(shown(start)), len(shown(high)), 7) + 3) * drawing.CHARACTER * drawing.SMALL
    ax.xaxis.set_major_locator(MaxNLocator(max(1, min(5, int(length / width) - 1)), integer=True))
    return shown


def _break_bars(ax: Axes, rows: Sequence[int]) -> None:
    """Draw two slanted white lines across the bars that begin left of the axis."""
    for row in rows:
        for at in (0.012, 0.02):
            ax.plot(
                [at, at + 0.008], [row + 0.45, row - 0.45], transform=ax.get_yaxis_transform(), color="white",
                linewidth=1.5, gid="break",
            )  # fmt: skip
