"""The common look of plots: sizes, colours, axes, titles, notes and bands."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure

from mbanalyze.conventions.convention import Convention
from mbanalyze.inputs.plot_size import Size, check_size
from mbanalyze.report.convention_rows import macs_name
from mbanalyze.report.rows import block

COLUMN_SIZE, PAGE_SIZE = (3.3, 2.5), (7.0, 4.0)
"""Width and height of a figure that fills a column, or the width of a page; in inches."""

TEXT, SMALL = 8, 7
"""Font sizes of axis labels, and of all other text; in points."""

CHARACTER = 0.56
"""The mean width of a character, as a fraction of the font size."""

Side = Literal["x", "y"]

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
    "peak_bytes": ("ideal peak memory", "bytes"),
    "peak_bytes_deployed": ("deployed peak memory", "bytes"),
    "peak_bytes_eager": ("eager peak memory", "bytes"),
    "arithmetic_intensity": ("arithmetic intensity", "flops per byte"),
    "latency_ms": ("latency", "ms"),
    "predicted_ms": ("predicted time", "ms"),
    "top1": ("top-1 accuracy", "%"),
    "top5": ("top-5 accuracy", "%"),
}
"""Column of a frame -> its title and its unit, "" if it has none."""

OPTION_UNITS = {"resolution": "pixels"}
"""Option -> its unit."""


class PlotError(ValueError):
    """A frame without the data of a plot, or an unknown format of a file."""


def figure_of(drawn: Axes | Figure) -> Figure:
    """Return the whole figure of axes or of a figure."""
    figure = drawn.figure if isinstance(drawn, Axes) else drawn
    return figure.figure if isinstance(figure, SubFigure) else figure


def title(column: str, convention: Convention | None = None) -> str:
    """Return the title of a column; that of macs names the counter whose convention they follow."""
    text = COLUMN_TITLES.get(column, (column.replace("_", " "), ""))[0]
    return macs_name(text, convention) if column == "macs" else text


def axis_label(column: str, convention: Convention | None = None) -> str:
    """Return the title of a column with its unit; `convention` as for `title`."""
    unit = COLUMN_TITLES.get(column, ("", OPTION_UNITS.get(column, "")))[1]
    text = title(column, convention)
    return f"{text} ({unit})" if unit else text


def get_axes(ax: Axes | None, size: Size | None = None) -> Axes:
    """Return `ax`, or the axes of a new figure.

    Args:
        ax: the axes.
        size: width and height of the new figure in inches; by default `PAGE_SIZE`.

    Raises:
        PlotError: `ax` and `size` are both given.
        PlotSizeError: the size is out of range.
    """
    if ax is None:
        return plt.subplots(figsize=check_size(size or PAGE_SIZE), layout="constrained")[1]
    if size is not None:
        raise PlotError("the axes have a size: give ax or size")
    return ax


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


def set_title(ax: Axes, text: str, distance: float = 4) -> None:
    """Write a title above the axes, over several lines if it is long.

    Args:
        ax: the axes.
        text: the title; nothing is written for "".
        distance: from the axes, in points.
    """
    if text:
        ax.set_title(wrapped(ax, text, TEXT), loc="left", fontsize=TEXT, pad=distance)


def note(ax: Axes, sentences: Iterable[str]) -> None:
    """Write sentences below the axes; call it before the legend, because it shortens the axes."""
    text = "\n".join(wrapped(ax, sentence, SMALL) for sentence in sentences if sentence)
    if text:
        ax.annotate(
            text, (0, 0), (0, -3), xycoords=("axes fraction", ax.xaxis.label), textcoords="offset points", va="top",
            fontsize=SMALL, color="0.35", gid="note",
        )  # fmt: skip


def wrapped(ax: Axes, text: str, size: float) -> str:
    """Return a text with line breaks, as wide as the figure at `ax` allows.

    Args:
        ax: the axes, at whose left side the text begins.
        text: the text.
        size: the size of the font, in points.
    """
    return textwrap.fill(text, max(12, int(room_right(ax) / (CHARACTER * size))), break_on_hyphens=False)


def room_right(ax: Axes) -> float:
    """Return the distance in points from the left of the axes to the right of the figure, or of axes among others."""
    figure = figure_of(ax)
    left, right = ax.get_window_extent().xmin, figure.bbox.xmax
    return float(right - left) / figure.dpi * 72 - 4 if len(figure.axes) == 1 else axis_length(ax, "x")


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
