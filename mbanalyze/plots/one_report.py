"""Pictures of one report."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.plots import drawing
from mbanalyze.plots.drawing import PlotError
from mbanalyze.plots.variants import _known, _merged, _numbers, _operators, _require, _shares
from mbanalyze.report.network import Report


def profile(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params", "memory_access"),
) -> Axes:
    """Where along a network its costs are: each operator's share of each count, in per cent.

    Reads `report.frame()`. An operator with none of a count has no point there. Bands are blocks.

    Raises:
        PlotError: no operator has any of a count, or a column is missing.
    """
    _require(frame, "path")
    shares = {count: _shares(_numbers(frame, count), count) for count in counts}
    styles = drawing.styles(counts)
    ax = drawing.axes(ax)
    for count, (color, marker) in styles.items():
        some = shares[count][shares[count] > 0]
        ax.vlines(some.index, 0, some, color=color, linewidth=0.6, alpha=0.6)
        ax.plot(some, marker, color=color, markersize=2.8, label=drawing.name(count), gid=count)
    ax.set_ylim(bottom=0)
    drawing.finish(ax, "operator, in order (bands are blocks)", "share of its total (%)")
    drawing.bands(ax, frame["path"])
    drawing.legend_above(ax)
    return ax


def shares(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params"),
    least: float = 1,
) -> Axes:
    """Share of each count by kind of operator, in per cent: Howard et al., 2017, table 2.

    Reads `report.frame()`.

    Args:
        least: kinds with less than so many per cent of every count are one, "other", as are the smallest where
            there is no room for so many bars.

    Raises:
        PlotError: no operator has any of a count, or a column is missing.
    """
    kinds = _operators(frame)
    each = pd.DataFrame({count: _shares(_numbers(frame, count), count) for count in counts})
    styles = drawing.styles(counts)
    ax = drawing.axes(ax)
    points = drawing.length(ax, "y")
    table = _merged(each.groupby(kinds, sort=False).sum(), least, int(points / (9 * len(counts))))
    height = 0.86 / len(counts)
    size = min(drawing.SMALL, 0.78 * height * points / len(table))
    for i, (count, (color, _)) in enumerate(styles.items()):
        places = [row + (i - (len(counts) - 1) / 2) * height for row in range(len(table))]
        bars = ax.barh(
            places, table[count], height, color=color, label=drawing.name(count), edgecolor="white", linewidth=0.3
        )  # fmt: skip
        ax.bar_label(bars, fmt=lambda share: f"{share:.2f}" if share else "", padding=2, fontsize=size)
    ax.set_yticks(range(len(table)), [str(kind) for kind in table.index])
    ax.invert_yaxis()
    ax.margins(x=0.16)
    drawing.finish(ax, "share of its total (%)", "")
    ax.grid(visible=False, axis="y")
    drawing.legend_above(ax)
    return ax


def convolutions_frame(report: Report) -> pd.DataFrame:
    """What G1 and G2 say of each convolution of `report`, in elements: what `bound` draws."""
    return guidelines(report).frame()


def bound(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Memory access of each convolution above the least that its work allows: ShuffleNet V2's G1 and G2.

    Reads `convolutions_frame(report)`: columns `path`, `memory_access` and `bound`. The numbers are how many
    times its bound a convolution accesses, from 1.05 on, the largest first, as there is room. Bands are blocks.

    Raises:
        PlotError: there is no convolution, or a column is missing.
    """
    _require(frame, "path")
    rows = _known(frame, "memory_access", "bound")
    access, least = rows["memory_access"], rows["bound"]
    both = pd.concat([access, least])
    ax = drawing.axes(ax)
    stems = ax.vlines(rows.index, least, access, color=drawing.COLORS[1], linewidth=1.5, zorder=1)
    ax.plot(access, "o", color=drawing.COLORS[0], markersize=3, label="memory access", gid="memory_access")
    ax.plot(least, "_", color="black", markersize=5, label="lower bound", gid="bound")
    ax.set_yscale("log")
    ax.margins(y=0.1)
    drawing.finish(ax, "convolution, in order (bands are blocks)", drawing.label("memory_access"))
    drawing.bands(ax, frame["path"])
    drawing.legend_above(ax)
    drawing.ticks(ax, "y", both)
    ratios = (access / least).sort_values(ascending=False)
    ratios = ratios[ratios >= 1.05]
    texts = [f"{ratio:.2g}\N{MULTIPLICATION SIGN}" for ratio in ratios]
    there = least[ratios.index].reset_index()
    drawing.place(ax, there, texts, drawing.BELOW, both.reset_index(), stems.get_paths())
    return ax


def intensity(frame: pd.DataFrame, ax: Axes | None = None, *, itemsize: int = 4) -> Axes:
    """Flops of each operator for a byte that it reads or writes, along depth, by class of operator.

    Reads `report.frame()`. Operators without flops, which a logarithm has no place for, are left out.

    Args:
        itemsize: bytes of an element.

    Raises:
        PlotError: no operator has flops, or a column is missing.
    """
    kinds = _operators(frame)
    classes = kinds.where(frame["kind"].isin(PRODUCTS).to_numpy(), "other")
    classes = classes.mask(frame["kind"].isin(ELEMENTWISE).to_numpy(), "element-wise")
    ratios = _numbers(frame, "flops") / (itemsize * _numbers(frame, "memory_access"))
    ratios = ratios[(ratios > 0) & (ratios < float("inf"))]
    if ratios.empty:
        raise PlotError("no operator of the frame has flops and memory access")
    _require(frame, "path")
    styles = drawing.styles(classes[ratios.index].unique())
    ax = drawing.axes(ax)
    for name, (color, marker) in styles.items():
        some = ratios[classes[ratios.index] == name]
        ax.plot(some, marker, color=color, markersize=3.2, label=str(name), gid=str(name).replace(" ", "-"))
    ax.set_yscale("log")
    drawing.finish(ax, "operator, in order (bands are blocks)", drawing.label("arithmetic_intensity"))
    drawing.bands(ax, frame["path"])
    drawing.legend_above(ax)
    drawing.ticks(ax, "y", ratios)
    return ax
