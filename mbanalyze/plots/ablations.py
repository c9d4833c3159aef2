"""Plots of ablations: accuracy against cost, and costs against an option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from mbanalyze.inputs.plot_size import Size
from mbanalyze.plots import drawing
from mbanalyze.plots.accuracy_sources import mark_sources, source_notes
from mbanalyze.plots.frames import Data, as_frame, other_convention_of, positive_rows
from mbanalyze.plots.legends import legend_above, legend_entry, legend_right
from mbanalyze.plots.option_costs import costs
from mbanalyze.plots.pareto_front import unranked
from mbanalyze.plots.ticks import set_ticks, set_ticks_at
from mbanalyze.plots.titles import title_of
from mbanalyze.plots.variant_options import Levels, levels, option_columns, places, varying
from mbanalyze.sweep.best_variants import Search


def ablation(
    data: Data, ax: Axes | None = None, *, size: Size | None = None, title: str | None = None
) -> Axes:
    """Plot an ablation by what it contains.

    - With an accuracy: `tradeoff`.
    - Without, if alpha, rho or the resolution varies alone: `scaling`.
    - Else: `costs`.

    If the plot leaves out variants, a note says how many, as `left_out` does.

    Args:
        data: an ablation or its frame.
        ax: the axes.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: there is no accuracy, and no option varies.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    against, missing = _against(frame), left_out(frame)
    ax = drawing.get_axes(ax, size)
    title = title_of(data, title)
    if against == "top1":
        drawing.note(ax, [missing, *source_notes(frame, "top1")])
        return tradeoff(frame, ax, title=title)
    drawing.note(ax, [missing])
    return scaling(frame, ax, against=against, title=title) if against else costs(frame, ax, title=title)


def left_out(data: Data) -> str:
    """Return a sentence on the variants that a plot of an ablation or a search does not draw; "" if it draws all.

    Raises:
        PlotError: as for `ablation`.
    """
    if isinstance(data, Search):
        return unranked(data, data.ranked_by)
    frame = as_frame(data)
    if _against(frame) == "top1":
        shown = positive_rows(frame, "macs", "top1", *_size_columns(frame))
        reason = "no accuracy"
    else:
        shown = positive_rows(frame, "macs", "params")
        reason = "no multiply-accumulates or no params"
    count = len(frame) - len(shown)
    return f"not drawn: {count} of {len(frame)} variants ({reason})" if count else ""


def _against(frame: pd.DataFrame) -> str:
    """`top1` if there is an accuracy, else the size option that varies alone; "" if others vary too."""
    if "top1" in frame and frame["top1"].notna().any():
        return "top1"
    names = varying(frame)
    if not names:
        raise drawing.PlotError("a plot needs an accuracy, or several values of an option")
    return (
        ("rho" if "rho" in frame else "resolution")
        if names == ["resolution"]
        else names[0]
        if names in (["alpha"], ["rho"])
        else ""
    )


def _size_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in ("alpha", "resolution") if name in frame]


def tradeoff(
    data: Data,
    ax: Axes | None = None,
    *,
    cost: str = "macs",
    accuracy: str = "top1",
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot accuracy against cost, as in Howard et al., 2017, Figures 4 and 5.

    The colour shows the first option that varies, and the marker all others (or the first, if it is the only one).
    Options are `alpha`, `resolution`, and the columns before the first count.
    If there are too few markers, colour and marker are exchanged, or all markers are equal.
    Rows without a positive cost, accuracy, alpha or resolution are left out.
    If the column of the accuracy, such as `top1`, has a spread (`top1_spread`), bars show it on both sides.
    If the column `accuracy_source` has several sources, or a file of the user, marks over the points distinguish them.

    Args:
        data: an ablation or its frame.
        ax: the axes.
        cost: the column on the x-axis.
        accuracy: the column on the y-axis.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: no row remains, or a column is missing.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    rows = positive_rows(frame, cost, accuracy, *_size_columns(frame))
    color, marker = _encodings(rows)
    markers = dict(zip(marker.labels, drawing.MARKERS, strict=False))
    norm = Normalize(color.numbers.min(), color.numbers.max())
    ax = drawing.get_axes(ax, size)
    for level, shape in markers.items():
        some = rows[marker.numbers == level]
        ax.scatter(
            some[cost], some[accuracy], 26, color.numbers[some.index], marker=shape, norm=norm, cmap=drawing.COLORMAP,
            linewidths=0.4, edgecolors="black", gid=f"{marker.name}-{marker.labels[level]}",
        )  # fmt: skip
    _draw_spread(ax, rows, cost, accuracy)
    ax.set_xscale("log")
    convention = other_convention_of(rows)
    drawing.style_axes(ax, drawing.axis_label(cost, convention), drawing.axis_label(accuracy))
    colors = {level: drawing.COLORMAP(norm(level)) for level in color.labels}
    shapes = _entries(marker, colors if marker is color else {}, markers)
    sources = mark_sources(ax, rows, cost, accuracy)
    groups = {color.name: _entries(color, colors, {}), marker.name: shapes, f"{accuracy} from": sources}
    legend_right(ax, groups, title_of(data, title))
    set_ticks(ax, "x", rows[cost])
    return ax


def _draw_spread(ax: Axes, rows: pd.DataFrame, cost: str, accuracy: str) -> None:
    """Draw a bar of one standard deviation on both sides of each mean over seeds."""
    spread = f"{accuracy}_spread"
    if spread in rows and rows[spread].notna().any():
        bars = rows[rows[spread].notna()]
        drawn = ax.errorbar(
            bars[cost], bars[accuracy], bars[spread].astype(float),
            fmt="none", ecolor="0.5", elinewidth=0.9, capsize=2.5, zorder=0.5,
        )  # fmt: skip
        drawn.lines[2][0].set_gid("spread")


def _encodings(rows: pd.DataFrame) -> tuple[Levels, Levels]:
    """The options that the colour shows, and those that the marker shows."""
    first, *others = varying(rows) or [""]
    color = levels(rows, [first] if first else [])
    marker = levels(rows, others) if others else color
    if color.fit and not marker.fit:
        color, marker = marker, color
    return color, marker if marker.fit else levels(rows, [])


def _entries(levels: Levels, colors: Mapping[float, Any], markers: Mapping[float, str]) -> list[Line2D]:
    """An entry for each level; without a colour it is grey, without a marker a dot."""
    return [
        legend_entry(text, color=colors.get(level, "0.5"), marker=markers.get(level, "o"))
        for level, text in levels.labels.items()
        if text
    ]


def scaling(
    data: Data,
    ax: Axes | None = None,
    *,
    against: str = "alpha",
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot params and macs relative to the largest variant, in per cent, with the quadratic law of an option.

    Both axes are logarithmic, which makes the law a straight line.
    Only variants that differ from the largest in `against` alone are drawn.
    All columns before the first count, such as `width`, are options.

    Args:
        data: a frame or an ablation.
        ax: the axes.
        against: `alpha`, `rho` or `resolution`.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: a column is missing or empty, or no two variants differ in `against` alone.
        PlotSizeError: the size is out of range.
    """
    rows = _comparable(positive_rows(as_frame(data), against, "macs", "params"), against)
    options, labels = places(rows, against)
    largest = rows.iloc[-1]
    ends = [options.min(), options.max()]
    law = [100 * (end / ends[1]) ** 2 for end in ends]
    ax = drawing.get_axes(ax, size)
    ax.plot(ends, law, "--", color="0.4", linewidth=1, label=f"{against}²", gid="law")
    blue, orange, *_ = drawing.PALETTE
    # a ring around a dot keeps both visible
    looks = {"macs": ("s", 4, orange, orange), "params": ("o", 7.5, blue, "none")}
    for count, (marker, width, color, face) in looks.items():
        ax.plot(
            options, 100 * rows[count] / largest[count], marker, markersize=width, color=color,
            markerfacecolor=face, label=drawing.title(count, other_convention_of(rows)), gid=count,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log")
    drawing.style_axes(ax, drawing.axis_label(against), f"relative to {against} {labels[ends[1]]} (%)")
    legend_above(ax, title=title_of(data, title))
    set_ticks_at(ax, "x", options, labels)
    set_ticks(ax, "y", pd.Series(law))
    return ax


def _comparable(rows: pd.DataFrame, against: str) -> pd.DataFrame:
    """The rows that differ from the largest in `against` alone; the largest is the last."""
    rows = rows.iloc[np.lexsort((rows["macs"].astype(float), places(rows, against)[0]))]
    same = {"rho", "resolution"} if against in ("rho", "resolution") else {against}
    others = [name for name in option_columns(rows) if name not in same]
    options = rows[others].map(repr)
    rows = rows[(options == options.iloc[-1]).all(axis="columns")]
    if rows[against].nunique() < 2:
        equal = f" and have the same {', '.join(others)}" if others else ""
        raise drawing.PlotError(f"no two rows of the frame differ in {against}{equal}")
    return rows
