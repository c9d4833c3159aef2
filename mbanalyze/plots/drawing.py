"""How pictures are drawn: their sizes and colours, axes and ticks, legends, bands and labels, and their files."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from math import log10
from pathlib import Path
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
from matplotlib.path import Path as Outline
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from mbanalyze.display.files import require_writable, write
from mbanalyze.report.rows import block

COLUMN, PAGE = (3.3, 2.5), (7.0, 4.0)
"""Width and height of a figure, in inches, that fills a column or a page's width."""

TEXT, SMALL = 8, 7
"""Points of an axis' name, and of everything else."""

LINE = 1.4 * SMALL
"""Points from a line of a legend to the next."""

Side = Literal["x", "y"]
ROOM: dict[Side, float] = {"x": 25, "y": 13}
"""Points from a tick of an axis to the next, at least."""

STEPS = {(1, 2, 3, 5, 7): log10(7 / 5), (1, 2, 5): log10(2), (1, 3): log10(3)}
"""Ticks in a decade -> how much of it lies between the nearest two, the most first."""

COLORS = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito, 2008, but for the yellow that white paper swallows."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
MOST = 2 * len(MARKERS)
"""So many pairs of colour and marker can be told apart."""

SHADES = ListedColormap(mpl.colormaps["viridis"](range(218)))
"""Viridis without its yellow end."""

NAMES = {
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
"""Column -> what it is called and its unit, "" for what counts itself."""

FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 200, "metadata": {}},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}
"""Suffix -> how such a file is written, the same bytes each time."""
DESCRIPTION = {".png": "Description", ".svg": "Description", ".pdf": "Subject"}
"""Suffix -> what such a file calls its description."""

BELOW = ((0.0, -4.0),)
AROUND = tuple(
    (dx * far, dy * far)
    for far in (4, 8, 13, 19, 26, 34, 43, 53, 64, 80)
    for dx, dy in ((-1, 1), (1, -1), (-1.5, 0.5), (1.5, -0.5), (-2, 1.3), (-0.4, 1.3), (0.4, -1.3), (2, -2.2))
)
"""Where a label may stand, in points from its point, the best first."""
TIE = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
"""The line from a label that is far to its point."""


class PlotError(ValueError):
    """A frame without what a picture shows, or a kind of file that no picture is saved as."""


def save(drawn: Axes | Figure, path: Path, description: str = "") -> None:
    """Write the figure of `drawn` as .png, .svg or .pdf, whole or not at all; the same figure gives the same bytes.

    Args:
        description: text that the file carries and does not show.

    Raises:
        PlotError: the suffix is none of these.
        OutputError: the file cannot be written.
    """
    suffix = check_format(path)
    require_writable(path)
    content = io.BytesIO()
    about = {DESCRIPTION[suffix]: description} if description else {}
    options = FORMATS[suffix] | {"metadata": FORMATS[suffix]["metadata"] | about}
    with mpl.rc_context({"svg.hashsalt": "mbanalyze"}):
        _figure(drawn).savefig(content, format=suffix[1:], **options)
    write(path, content.getvalue())


def check_format(path: Path) -> str:
    """The suffix of `path`.

    Raises:
        PlotError: no picture is saved as such a file.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise PlotError(f"cannot save a picture as {path.name!r}: choose one of {', '.join(FORMATS)}")
    return suffix


def _figure(drawn: Axes | Figure) -> Figure:
    figure = drawn.figure if isinstance(drawn, Axes) else drawn
    return figure.figure if isinstance(figure, SubFigure) else figure


def name(column: str) -> str:
    """What a column is called."""
    return NAMES.get(column, (column.replace("_", " "), ""))[0]


def label(column: str) -> str:
    """What an axis is called that shows a column: its name and unit."""
    unit = NAMES.get(column, ("", ""))[1]
    return f"{name(column)} ({unit})" if unit else name(column)


def axes(ax: Axes | None) -> Axes:
    """`ax`, or the axes of a figure of a page's width."""
    return ax or plt.subplots(figsize=PAGE, layout="constrained")[1]


def length(ax: Axes, side: Side) -> float:
    """How long an axis is, in points; as it stays, once there is a legend."""
    return float(ax.get_window_extent().size["xy".index(side)]) / ax.figure.dpi * 72


def finish(ax: Axes, x: str, y: str) -> None:
    """What all pictures share: names of the axes, sizes of text, a faint grid, two spines."""
    ax.set_xlabel(x, fontsize=TEXT)
    ax.set_ylabel(y, fontsize=TEXT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.5)
    ax.set_axisbelow(True)


def ticks(ax: Axes, side: Side, values: pd.Series[float]) -> None:
    """Ticks with SI prefixes where `values` are thousands; on a logarithmic scale as many as stay apart.

    To be called after the legend, which takes its room from the axes.
    """
    axis: Axis = getattr(ax, f"{side}axis")
    if axis.get_scale() == "log":
        values = values[values > 0]
        decade = length(ax, side) / log10(max(values.max() / values.min(), 2))
        fitting = (steps for steps, least in STEPS.items() if decade * least >= ROOM[side])
        axis.set_major_locator(LogLocator(subs=next(fitting, (1,))))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(EngFormatter(sep=" ") if values.max() >= 1000 else StrMethodFormatter("{x:g}"))


def ticks_at(ax: Axes, side: Side, values: Iterable[float]) -> None:
    """Ticks at those of `values` that stay apart on a logarithmic axis, the largest first."""
    largest, *others = sorted(set(values), reverse=True)
    kept = [largest]
    point = log10(largest / others[-1]) / length(ax, side)
    for value in others:
        if log10(kept[-1] / value) >= ROOM[side] * point:
            kept.append(value)
    axis: Axis = getattr(ax, f"{side}axis")
    axis.set_ticks(kept, [f"{value:.3g}" for value in kept])
    axis.set_minor_locator(NullLocator())


def bands(ax: Axes, paths: Iterable[str]) -> None:
    """Shade every other block of `paths`."""
    ends = [0, *itertools.accumulate(len(list(rows)) for _, rows in itertools.groupby(paths, block))]
    for start, end in itertools.islice(itertools.pairwise(ends), 0, None, 2):
        ax.axvspan(start - 0.5, end - 0.5, color="0.94", linewidth=0, zorder=0)
    ax.set_xlim(-0.5 - ends[-1] / 100, ends[-1] - 0.5 + ends[-1] / 100)


def styles(names: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """A colour and a marker for each name; from the eleventh on, a marker comes again in another colour.

    Raises:
        PlotError: more names than can be told apart.
    """
    names = list(names)
    if len(names) > MOST:
        told = ", ".join(map(str, names))
        raise PlotError(f"{len(names)} are too many to tell apart, at most {MOST}: {told}")
    pairs = zip(itertools.cycle(COLORS), itertools.cycle(MARKERS), strict=False)
    return dict(zip(names, pairs, strict=False))


def key(text: str, **style: Any) -> Line2D:
    """An entry of a legend."""
    defaults: dict[str, Any] = {"linestyle": "", "markersize": 4.5}
    return Line2D([], [], label=text, **defaults | style)


def legend_right(ax: Axes, groups: dict[str, Sequence[Line2D]]) -> None:
    """A legend beside the axes, each group under its title; of the first, as many as there is room for."""
    groups = {title: keys for title, keys in groups.items() if keys}
    if not groups:
        return
    first, *others = groups
    room = int(length(ax, "y") / LINE) - len(groups) - sum(len(groups[title]) for title in others)
    groups[first] = _spread(groups[first], max(room, 2))
    _legend(ax, [each for title in groups for each in (key(title), *groups[title])], 1, "upper left", (1, 1))


def _spread(keys: Sequence[Line2D], most: int) -> Sequence[Line2D]:
    """At most so many of `keys`, evenly spread and both ends among them."""
    last = len(keys) - 1
    return keys if last < most else [keys[round(last * i / (most - 1))] for i in range(most)]


def legend_above(ax: Axes, keys: Sequence[Artist] | None = None) -> None:
    """A legend over the axes, in as many columns as fit."""
    keys = keys or ax.get_legend_handles_labels()[0]
    longest = (0.53 * max(len(str(key.get_label())) for key in keys) + 3) * SMALL
    _legend(ax, keys, max(1, int(1.1 * length(ax, "x") / longest)), "lower left", (0, 1))


def _legend(ax: Axes, keys: Sequence[Artist], columns: int, corner: Any, anchor: tuple[float, float]) -> None:
    ax.legend(
        handles=keys, loc=corner, bbox_to_anchor=anchor, ncols=columns, fontsize=SMALL, frameon=False,
        handlelength=1.2, handletextpad=0.4, columnspacing=1, labelspacing=0.35, borderpad=0.2, borderaxespad=0.3,
    )  # fmt: skip
    _figure(ax).draw_without_rendering()  # which makes the axes as small as they stay


def place(
    ax: Axes,
    points: pd.DataFrame,
    texts: Sequence[str],
    offsets: Sequence[tuple[float, float]],
    others: pd.DataFrame,
    lines: Sequence[Outline],
    *,
    every: bool = False,
) -> bool:
    """Write beside each of `points` its text where there is room, clear of `others`, each other and `lines`.

    Returns whether there was room for all; with `every`, there are all or none.
    """
    _figure(ax).draw_without_rendering()  # which moves the axes to where they stay
    at, inch = ax.transData.transform, ax.figure.dpi
    taken = [Bbox.from_bounds(x, y, 0, 0).padded(inch / 30) for x, y in at(others)]
    lines = [line.transformed(ax.transData) for line in lines]
    placed = []
    for point, text in zip(points.itertuples(index=False), texts, strict=True):
        x, y = at(tuple(point))
        for dx, dy in offsets:
            trial = _note(ax, text, tuple(point), dx, dy, {})  # a line would make its extent slow to find
            box = trial.get_window_extent().padded(1)
            trial.remove()
            tie = Outline([(x, y), (x + dx * inch / 72, y + dy * inch / 72)])
            if _free(ax, box, tie, [other for other in taken if not other.contains(x, y)], lines):
                taken.append(box)
                lines.append(tie)
                placed.append(_note(ax, text, tuple(point), dx, dy, TIE))
                break
    complete = len(placed) == len(points)
    for note in placed if every and not complete else ():
        note.remove()
    return complete


def _free(ax: Axes, box: Bbox, tie: Outline, taken: Sequence[Bbox], lines: Sequence[Outline]) -> bool:
    """Whether a label fits into `box` and the line to its point between the others."""
    frame = ax.bbox.padded(-ax.figure.dpi / 36)
    inside = all(frame.contains(*corner) for corner in (box.min, box.max))
    return inside and not (
        box.count_overlaps(taken)
        or any(other.intersects_bbox(box, filled=False) for other in lines)
        or any(tie.intersects_bbox(other, filled=False) for other in taken)
    )


def _note(
    ax: Axes, text: str, point: tuple[float, float], dx: float, dy: float, tie: dict[str, Any]
) -> Annotation:
    """A label so many points from its point, tied to it by a line of this style where it is far."""
    side, level = (dx < 0) - (dx > 0), (dy < 0) - (dy > 0)
    ends = {"relpos": ((side + 1) / 2, (level + 1) / 2)}
    return ax.annotate(
        text, point, (dx, dy), textcoords="offset points", fontsize=SMALL - 1,
        ha=("left", "center", "right")[side + 1], va=("bottom", "center", "top")[level + 1],
        arrowprops=tie | ends if tie and abs(dx) + abs(dy) > 10 else None,
    )  # fmt: skip
