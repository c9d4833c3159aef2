"""Plots of one report."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from mbanalyze.inputs.plot_size import Size
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import (
    Data,
    as_frame,
    numbers,
    other_convention_of,
    positive_rows,
    require_columns,
)
from mbanalyze.plots.labels import OFFSETS_BELOW, place_labels
from mbanalyze.plots.legends import legend_above
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.titles import title_of
from mbanalyze.report.network import Report


def profile(
    data: Data,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params", "memory_access"),
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot the share of each operator in each count, in per cent, along the depth of the network.

    Operators without a count have no point in it. Bands separate blocks.

    Args:
        data: a report or its frame.
        ax: the axes.
        counts: the columns to show.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: a count is zero for all operators, or a column is missing.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    require_columns(frame, "path")
    per_cent = {count: _per_cent(frame, count) for count in counts}
    styles = drawing.styles(counts)
    ax = drawing.get_axes(ax, size)
    drawing.note(ax, [_uncounted(data)])
    for count, (color, marker) in styles.items():
        some = per_cent[count][per_cent[count] > 0]
        ax.vlines(some.index, 0, some, color=color, linewidth=0.6, alpha=0.6)
        label = drawing.title(count, other_convention_of(frame))
        ax.plot(some, marker, color=color, markersize=2.8, label=label, gid=count)
    ax.set_ylim(bottom=0)
    _style_depth(ax, frame, "operator", "share of its total (%)", title_of(data, title))
    return ax


def shares(
    data: Data,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params"),
    least: float = 1,
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot the share of each kind of operator in each count, in per cent: Howard et al., 2017, Table 2.

    Args:
        data: a report or its frame.
        ax: the axes.
        counts: the columns to show.
        least: kinds with less than this percentage of every count are merged into "other".
            If there is no room for all bars, the smallest kinds are merged too.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: a count is zero for all operators, or a column is missing.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    kinds = _kinds(frame)
    each = pd.DataFrame({count: _per_cent(frame, count) for count in counts})
    styles = drawing.styles(counts)
    ax = drawing.get_axes(ax, size)
    points = drawing.axis_length(ax, "y")
    table = _merged(each.groupby(kinds, sort=False).sum(), least, int(points / (9 * len(counts))))
    height = 0.86 / len(counts)
    letters = min(drawing.SMALL, 0.78 * height * points / len(table))
    for i, (count, (color, _)) in enumerate(styles.items()):
        centers = [row + (i - (len(counts) - 1) / 2) * height for row in range(len(table))]
        label = drawing.title(count, other_convention_of(frame))
        bars = ax.barh(
            centers, table[count], height, color=color, label=label, edgecolor="white", linewidth=0.3
        )  # fmt: skip
        ax.bar_label(bars, fmt=lambda share: f"{share:.2f}" if share else "", padding=2, fontsize=letters)
    ax.set_yticks(range(len(table)), [str(kind) for kind in table.index])
    ax.invert_yaxis()
    ax.margins(x=0.16)
    drawing.style_axes(ax, "share of its total (%)", "")
    ax.grid(visible=False, axis="y")
    legend_above(ax, title=title_of(data, title))
    return ax


def bound(data: Data, ax: Axes | None = None, *, size: Size | None = None, title: str | None = None) -> Axes:
    """Plot the memory access of each convolution and its lower bound by ShuffleNet V2's G1 and G2.

    Numbers show memory access over its bound, from 1.05 on, as far as there is room. Bands separate blocks.

    Args:
        data: a report, its `guidelines`, or a frame with the columns `path`, `memory_access` and `bound`.
        ax: the axes.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: there is no convolution, or a column is missing.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(guidelines(data) if isinstance(data, Report) else data)
    require_columns(frame, "path")
    rows = positive_rows(frame, "memory_access", "bound")
    access, least = rows["memory_access"], rows["bound"]
    ax = drawing.get_axes(ax, size)
    stems = ax.vlines(rows.index, least, access, color=drawing.PALETTE[1], linewidth=1.5, zorder=1)
    ax.plot(access, "o", color=drawing.PALETTE[0], markersize=3, label="memory access", gid="memory_access")
    ax.plot(least, "_", color="black", markersize=5, label="lower bound", gid="bound")
    ax.set_yscale("log")
    ax.margins(y=0.1)
    _style_depth(ax, frame, "convolution", drawing.axis_label("memory_access"), title_of(data, title))
    both = pd.concat([access, least])
    set_ticks(ax, "y", both)
    ratios = (access / least).sort_values(ascending=False)
    ratios = ratios[ratios >= 1.05]
    texts = [f"{ratio:.2g}\N{MULTIPLICATION SIGN}" for ratio in ratios]
    points, obstacles = least[ratios.index].reset_index(), both.reset_index()
    place_labels(ax, points, texts, OFFSETS_BELOW, obstacles=obstacles, lines=stems.get_paths())
    return ax


def intensity(
    data: Data,
    ax: Axes | None = None,
    *,
    itemsize: int = 4,
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot the flops per byte of memory access for each operator, along the depth, by class of operator.

    The axis is logarithmic: operators without flops are left out.

    Args:
        data: a report or its frame.
        ax: the axes.
        itemsize: bytes of an element.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: no operator has flops, or a column is missing.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    kinds = _kinds(frame)
    classes = kinds.where(frame["kind"].isin(PRODUCTS).to_numpy(), "other")
    classes = classes.mask(frame["kind"].isin(ELEMENTWISE).to_numpy(), "element-wise")
    ratios = numbers(frame, "flops") / (itemsize * numbers(frame, "memory_access"))
    ratios = ratios[(ratios > 0) & (ratios < float("inf"))]
    if ratios.empty:
        raise drawing.PlotError("no operator of the frame has flops and memory access")
    require_columns(frame, "path")
    styles = drawing.styles(classes[ratios.index].unique())
    ax = drawing.get_axes(ax, size)
    for name, (color, marker) in styles.items():
        some = ratios[classes[ratios.index] == name]
        ax.plot(some, marker, color=color, markersize=3.2, label=str(name), gid=str(name).replace(" ", "-"))
    ax.set_yscale("log")
    _style_depth(ax, frame, "operator", drawing.axis_label("arithmetic_intensity"), title_of(data, title))
    set_ticks(ax, "y", ratios)
    return ax


def _style_depth(ax: Axes, frame: pd.DataFrame, rows: str, label: str, title: str) -> None:
    """Label axes along the depth of a network, shade every other block, and add a legend and a title."""
    drawing.style_axes(ax, f"{rows}, in order (bands are blocks)", label)
    drawing.shade_blocks(ax, frame["path"])
    legend_above(ax, title=title)


def _uncounted(data: Data) -> str:
    """A sentence on the operators of a report without a count; "" if there are none."""
    names = [each.operator for each in data.uncounted] if isinstance(data, Report) else []
    return f"not counted, and without a point: {', '.join(dict.fromkeys(names))}" if names else ""


def _per_cent(frame: pd.DataFrame, count: str) -> pd.Series[float]:
    """A column in per cent of its sum."""
    counts = numbers(frame, count)
    if not counts.sum():
        raise drawing.PlotError(f"no operator of the frame has {drawing.title(count)}")
    return 100 * counts / counts.sum()


def _kinds(frame: pd.DataFrame) -> pd.Series[str]:
    """The kind of each operator in words: `pointwise conv`, `linear`, `batch norm`."""
    require_columns(frame, "kind", "variant")
    pairs = zip(frame["kind"], frame["variant"], strict=True)
    names = [f"{v} conv" if isinstance(v, str) else str(k).replace("_", " ") for k, v in pairs]
    return pd.Series(names, dtype=str)


def _merged(table: pd.DataFrame, least: float, most: int) -> pd.DataFrame:
    """At most `most` rows, sorted by their largest share; rows below `least` and the rest become "other"."""
    table = table.loc[table.max(axis="columns").sort_values(ascending=False).index]
    kept = int((table.max(axis="columns") >= least).sum())
    kept = kept if kept < most else max(most - 1, 1)
    rest = table.iloc[kept:].sum()
    return pd.concat([table.iloc[:kept], rest.to_frame("other").T]) if rest.any() else table.iloc[:kept]
