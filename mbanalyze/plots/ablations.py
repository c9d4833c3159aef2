"""Plots of ablations: accuracy against cost, and costs against an option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data, as_frame, positive_rows

MAX_LEVELS = len(drawing.MARKERS)


def ablation(data: Data, ax: Axes | None = None) -> Axes:
    """Plot an ablation: `tradeoff` if it has a published accuracy, else `scaling`.

    If the plot leaves out variants, a caption says how many, as `left_out` does.

    Raises:
        PlotError: there is no accuracy, and only one alpha and one resolution.
    """
    frame, ax = as_frame(data), drawing.get_axes(ax)
    if note := left_out(frame):
        drawing.caption(ax, note)
    against = _against(frame)
    return scaling(frame, ax, against=against) if against else tradeoff(frame, ax)


def left_out(data: Data) -> str:
    """Return a sentence on the variants that `ablation` does not draw; "" if it draws all of them.

    Raises:
        PlotError: as for `ablation`.
    """
    frame = as_frame(data)
    against = _against(frame)
    if against:
        shown = _comparable(positive_rows(frame, against, "macs", "params"), against)
        reason = f"they differ from the largest in more than {against}"
    else:
        shown = positive_rows(frame, "macs", "top1", *_size_columns(frame))
        reason = "no published accuracy"
    count = len(frame) - len(shown)
    return f"not drawn: {count} of {len(frame)} variants ({reason})" if count else ""


def _against(frame: pd.DataFrame) -> str:
    """The option that `ablation` plots costs against; "" if it plots accuracy."""
    if "top1" in frame and frame["top1"].notna().any():
        return ""
    for against in ("alpha", "rho", "resolution"):
        if against in frame and len(set(frame[against])) > 1:
            return against
    raise drawing.PlotError("a plot needs published accuracy, or several alphas or resolutions")


def _size_columns(frame: pd.DataFrame) -> list[str]:
    return [name for name in ("alpha", "resolution") if name in frame]


class Levels(NamedTuple):
    """Distinct values of one or several options, as numbers.

    Attributes:
        name: the options.
        numbers: the number of each row.
        labels: the label of each number; "" without options.
    """

    name: str
    numbers: pd.Series[float]
    labels: dict[float, str]

    @property
    def fit(self) -> bool:
        """True if there is a marker for each level."""
        return len(self.labels) <= MAX_LEVELS


def tradeoff(data: Data, ax: Axes | None = None, *, cost: str = "macs", accuracy: str = "top1") -> Axes:
    """Plot accuracy against cost, as in Howard et al., 2017, Figures 4 and 5.

    The colour shows the first option that varies, and the marker all others (or the first, if it is the only one).
    Options are `alpha`, `resolution`, and the columns before the first count.
    If there are too few markers, colour and marker are exchanged, or all markers are equal.
    Rows without a positive cost, accuracy, alpha or resolution are left out.

    Raises:
        PlotError: no row remains, or a column is missing.
    """
    frame = as_frame(data)
    rows = positive_rows(frame, cost, accuracy, *_size_columns(frame))
    color, marker = _encodings(rows)
    markers = dict(zip(marker.labels, drawing.MARKERS, strict=False))
    norm = Normalize(color.numbers.min(), color.numbers.max())
    ax = drawing.get_axes(ax)
    for level, shape in markers.items():
        some = rows[marker.numbers == level]
        ax.scatter(
            some[cost], some[accuracy], 26, color.numbers[some.index], marker=shape, norm=norm, cmap=drawing.COLORMAP,
            linewidths=0.4, edgecolors="black", gid=f"{marker.name}-{marker.labels[level]}",
        )  # fmt: skip
    ax.set_xscale("log")
    drawing.style_axes(ax, drawing.axis_label(cost), drawing.axis_label(accuracy))
    colors = {level: drawing.COLORMAP(norm(level)) for level in color.labels}
    shapes = _entries(marker, colors if marker is color else {}, markers)
    drawing.legend_right(ax, {color.name: _entries(color, colors, {}), marker.name: shapes})
    drawing.set_ticks(ax, "x", rows[cost])
    return ax


def _encodings(rows: pd.DataFrame) -> tuple[Levels, Levels]:
    """The options that the colour shows, and those that the marker shows."""
    varying = _varying(rows)
    color = _levels(rows, varying[:1])
    marker = _levels(rows, varying[1:]) if varying[1:] else color
    if color.fit and not marker.fit:
        color, marker = marker, color
    return color, marker if marker.fit else _levels(rows, [])


def _entries(levels: Levels, colors: Mapping[float, Any], markers: Mapping[float, str]) -> list[Line2D]:
    """An entry for each level; without a colour it is grey, without a marker a dot."""
    return [
        drawing.legend_entry(text, color=colors.get(level, "0.5"), marker=markers.get(level, "o"))
        for level, text in levels.labels.items()
        if text
    ]


def scaling(data: Data, ax: Axes | None = None, *, against: str = "alpha") -> Axes:
    """Plot params and macs relative to the largest variant, in per cent, with the quadratic law of an option.

    Both axes are logarithmic, which makes the law a straight line.
    Only variants that differ from the largest in `against` alone are drawn.
    All columns before the first count, such as `width`, are options.

    Args:
        data: a frame or an ablation.
        ax: the axes.
        against: `alpha`, `rho` or `resolution`.

    Raises:
        PlotError: a column is missing or empty, or no two variants differ in `against` alone.
    """
    rows = _comparable(positive_rows(as_frame(data), against, "macs", "params"), against)
    options = rows[against]
    largest = rows.iloc[-1]
    ends = [options.min(), options.max()]
    law = [100 * (end / ends[1]) ** 2 for end in ends]
    ax = drawing.get_axes(ax)
    ax.plot(ends, law, "--", color="0.4", linewidth=1, label=f"{against}²", gid="law")
    blue, orange, *_ = drawing.PALETTE
    # a ring around a dot keeps both visible
    looks = {"macs": ("s", 4, orange, orange), "params": ("o", 7.5, blue, "none")}
    for count, (marker, size, color, face) in looks.items():
        ax.plot(
            options, 100 * rows[count] / largest[count], marker, markersize=size, color=color,
            markerfacecolor=face, label=drawing.title(count), gid=count,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log")
    drawing.style_axes(ax, against, f"relative to {against} {ends[1]:.3g} (%)")
    drawing.legend_above(ax)
    drawing.set_ticks_at(ax, "x", options)
    drawing.set_ticks(ax, "y", pd.Series(law))
    return ax


def _varying(rows: pd.DataFrame) -> list[str]:
    """The options that differ between rows: alpha, resolution, and the columns before the first count."""
    names = dict.fromkeys(["alpha", "resolution", *_option_columns(rows)])
    known = [name for name in names if name in rows and (name != "rho" or "resolution" not in rows)]
    return [name for name in known if len(set(map(repr, rows[name]))) > 1]


def _option_columns(rows: pd.DataFrame) -> list[str]:
    """The columns before the first count."""
    return [str(name) for name in takewhile(lambda name: name not in drawing.COLUMN_TITLES, rows)]


def _levels(rows: pd.DataFrame, names: Sequence[str]) -> Levels:
    """The levels of options: the values of a numeric option, else an index for each combination."""
    name = ", ".join(names)
    if len(names) == 1 and rows[name].dtype.kind in "iuf":
        values = rows[name].astype(float)
        return Levels(name, values, {value: f"{value:g}" for value in sorted(values.unique())})
    texts = [
        ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in row if value != "")
        for row in rows[[*names]].itertuples(index=False)
    ]
    codes, known = pd.factorize(pd.Series(texts, dtype=object))
    return Levels(name, pd.Series(codes, rows.index, float), dict(enumerate(known)))


def _comparable(rows: pd.DataFrame, against: str) -> pd.DataFrame:
    """The rows that differ from the largest in `against` alone; the largest is the last."""
    rows = rows.sort_values([against, "macs"])
    same = {"rho", "resolution"} if against in ("rho", "resolution") else {against}
    others = [name for name in _option_columns(rows) if name not in same]
    options = rows[others].map(repr)
    rows = rows[(options == options.iloc[-1]).all(axis="columns")]
    if rows[against].nunique() < 2:
        equal = f" and have the same {', '.join(others)}" if others else ""
        raise drawing.PlotError(f"no two rows of the frame differ in {against}{equal}")
    return rows
