"""The common look of plots: sizes, colours, titles, axes, ticks, legends and bands."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from math import log10
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, StrMethodFormatter

from mbanalyze.report.rows import block

COLUMN_SIZE, PAGE_SIZE = (3.3, 2.5), (7.0, 4.0)
"""Width and height of a figure that fills a column, or the width of a page; in inches."""

TEXT, SMALL = 8, 7
"""Font sizes of axis labels, and of all other text; in points."""

LINE_HEIGHT = 1.4 * SMALL
"""Distance between the lines of a legend, in points."""

Side = Literal["x", "y"]
MIN_TICK_DISTANCE: dict[Side, float] = {"x": 25, "y": 13}
"""The smallest distance between ticks, in points."""

TICK_STEPS = {(1, 2, 3, 5, 7): log10(7 / 5), (1, 2, 5): log10(2), (1, 3): log10(3)}
"""Ticks within a decade, the densest first -> their smallest distance, as a fraction of the decade."""

PALETTE = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""The colours of Okabe and Ito, 2008, without yellow, which white paper hides."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
MAX_STYLES = 2 * len(MARKERS)
"""The largest number of distinguishable pairs of colour and marker."""

COLORMAP = ListedColormap(mpl.colormaps["viridis"](range(218)))
"""Viridis without its yellow end."""

COLUMN_TITLES = {
    "macs": ("multiply-accumulates", ""),
    "params": ("params", ""),
    "flops": ("flops", ""),
    "activations": ("activations", "elements"),
    "reads": ("reads", "elements"),
    "writes": ("writes", "elements"),
    "memory_access": ("memory access", "elements"),
    "memory_access_bytes": ("memory access", "bytes"),
    "params_bytes": ("params", "bytes"),
    "arithmetic_intensity": ("arithmetic intensity", "flops per byte"),
    "latency_ms": ("latency", "ms"),
    "top1": ("top-1 accuracy", "%"),
    "top5": ("top-5 accuracy", "%"),
}
"""Column of a frame -> its title and its unit, "" if it has none."""


class PlotError(ValueError):
    """A frame without the data of a plot, or an unknown format of a file."""


def figure_of(drawn: Axes | Figure) -> Figure:
    """Return the whole figure of axes or of a figure."""
    figure = drawn.figure if isinstance(drawn, Axes) else drawn
    return figure.figure if isinstance(figure, SubFigure) else figure


def title(column: str) -> str:
    """Return the title of a column."""
    return COLUMN_TITLES.get(column, (column.replace("_", " "), ""))[0]


def axis_label(column: str) -> str:
    """Return the title of a column with its unit."""
    unit = COLUMN_TITLES.get(column, ("", ""))[1]
    return f"{title(column)} ({unit})" if unit else title(column)


def get_axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure of `PAGE_SIZE`."""
    return ax or plt.subplots(figsize=PAGE_SIZE, layout="constrained")[1]


def axis_length(ax: Axes, side: Side) -> float:
    """Return the length of an axis in points; a legend that is added later changes it."""
    return float(ax.get_window_extent().size["xy".index(side)]) / ax.figure.dpi * 72


def style_axes(ax: Axes, x: str, y: str) -> None:
    """Set the labels of the axes and the look that all plots share."""
    ax.set_xlabel(x, fontsize=TEXT)
    ax.set_ylabel(y, fontsize=TEXT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.5)
    ax.set_axisbelow(True)


def caption(ax: Axes, text: str) -> None:
    """Write a sentence below the axes; call it first, because it shortens them."""
    ax.annotate(
        text, (0, 0), (0, -32), xycoords="axes fraction", textcoords="offset points", va="top", fontsize=SMALL,
        color="0.4",
    )  # fmt: skip


def set_ticks(ax: Axes, side: Side, values: pd.Series[float]) -> None:
    """Set ticks with SI prefixes if `values` are thousands; a logarithmic axis gets the densest that fit.

    Call it after the legend, which changes the length of the axes.
    """
    axis: Axis = getattr(ax, f"{side}axis")
    if axis.get_scale() == "log":
        values = values[values > 0]
        decade = axis_length(ax, side) / log10(max(values.max() / values.min(), 2))
        fitting = (steps for steps, least in TICK_STEPS.items() if decade * least >= MIN_TICK_DISTANCE[side])
        axis.set_major_locator(LogLocator(subs=next(fitting, (1,))))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(EngFormatter(sep=" ") if values.max() >= 1000 else StrMethodFormatter("{x:g}"))


def set_ticks_at(ax: Axes, side: Side, values: Iterable[float]) -> None:
    """Set ticks of a logarithmic axis at those of `values` that are far enough apart, from the largest down."""
    largest, *others = sorted(set(values), reverse=True)
    kept = [largest]
    point = log10(largest / others[-1]) / axis_length(ax, side)
    for value in others:
        if log10(kept[-1] / value) >= MIN_TICK_DISTANCE[side] * point:
            kept.append(value)
    axis: Axis = getattr(ax, f"{side}axis")
    axis.set_ticks(kept, [f"{value:.3g}" for value in kept])
    axis.set_minor_locator(NullLocator())


def shade_blocks(ax: Axes, paths: Iterable[str]) -> None:
    """Shade every other block of `paths`."""
    ends = [0, *itertools.accumulate(len(list(rows)) for _, rows in itertools.groupby(paths, block))]
    for start, end in itertools.islice(itertools.pairwise(ends), 0, None, 2):
        ax.axvspan(start - 0.5, end - 0.5, color="0.94", linewidth=0, zorder=0)
    ax.set_xlim(-0.5 - ends[-1] / 100, ends[-1] - 0.5 + ends[-1] / 100)


def styles(names: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """Return a colour and a marker for each name; from the eleventh on, markers repeat in other colours.

    Raises:
        PlotError: there are more names than `MAX_STYLES`.
    """
    names = list(names)
    if len(names) > MAX_STYLES:
        listed = ", ".join(map(str, names))
        raise PlotError(f"a plot can show {MAX_STYLES} different names, not {len(names)}: {listed}")
    pairs = zip(itertools.cycle(PALETTE), itertools.cycle(MARKERS), strict=False)
    return dict(zip(names, pairs, strict=False))


def legend_entry(text: str, **style: Any) -> Line2D:
    """Return an entry of a legend."""
    defaults: dict[str, Any] = {"linestyle": "", "markersize": 4.5}
    return Line2D([], [], label=text, **defaults | style)


def legend_right(ax: Axes, groups: dict[str, Sequence[Line2D]]) -> None:
    """Add a legend to the right of the axes, each group under its title; the first is thinned out to fit."""
    groups = {heading: entries for heading, entries in groups.items() if entries}
    if not groups:
        return
    first, *others = groups
    rows = int(axis_length(ax, "y") / LINE_HEIGHT) - len(groups) - sum(len(groups[each]) for each in others)
    groups[first] = _thinned(groups[first], max(rows, 2))
    entries = [each for heading in groups for each in (legend_entry(heading), *groups[heading])]
    _legend(ax, entries, 1, "upper left", (1, 1))


def _thinned(entries: Sequence[Line2D], most: int) -> Sequence[Line2D]:
    """At most `most` entries at even distances, with the first and the last."""
    last = len(entries) - 1
    return entries if last < most else [entries[round(last * i / (most - 1))] for i in range(most)]


def legend_above(ax: Axes, entries: Sequence[Artist] | None = None) -> None:
    """Add a legend above the axes, in as many columns as fit."""
    entries = entries or ax.get_legend_handles_labels()[0]
    longest = (0.53 * max(len(str(entry.get_label())) for entry in entries) + 3) * SMALL
    _legend(ax, entries, max(1, int(1.1 * axis_length(ax, "x") / longest)), "lower left", (0, 1))


def _legend(ax: Axes, entries: Sequence[Artist], columns: int, corner: Any, anchor: tuple[int, int]) -> None:
    ax.legend(
        handles=entries, loc=corner, bbox_to_anchor=anchor, ncols=columns, fontsize=SMALL, frameon=False,
        handlelength=1.2, handletextpad=0.4, columnspacing=1, labelspacing=0.35, borderpad=0.2, borderaxespad=0.3,
    )  # fmt: skip
    figure_of(ax).draw_without_rendering()  # the layout shrinks the axes to their final size
