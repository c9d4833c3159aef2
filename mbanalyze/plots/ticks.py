"""Ticks: with SI prefixes, and as many as are legible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    Formatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    StrMethodFormatter,
)

from mbanalyze.plots.drawing import CHARACTER, SMALL, Side, axis_length, figure_of

if TYPE_CHECKING:
    from matplotlib.axis import Axis

MIN_TICK_DISTANCE: dict[Side, float] = {"x": 25, "y": 13}
"""The smallest distance between ticks, in points."""

TICK_STEPS = {(1, 2, 3, 5, 7): log10(7 / 5), (1, 2, 5): log10(2), (1, 3): log10(3)}
"""Ticks within a decade, the densest first -> their smallest distance, as a fraction of the decade."""


def set_ticks(ax: Axes, side: Side, values: pd.Series[float]) -> None:
    """Set ticks with SI prefixes if `values` are thousands; a logarithmic axis gets the densest that fit.

    A logarithmic axis of less than a decade gets even steps if it would have fewer than two ticks otherwise.
    Call it after the legend, which changes the length of the axes.
    """
    axis = _axis(ax, side)
    axis.set_major_formatter(EngFormatter(sep=" ") if values.max() >= 1000 else StrMethodFormatter("{x:g}"))
    if axis.get_scale() != "log":
        return
    values = values[values > 0]
    decade = axis_length(ax, side) / log10(max(values.max() / values.min(), 2))
    fitting = (steps for steps, least in TICK_STEPS.items() if decade * least >= MIN_TICK_DISTANCE[side])
    axis.set_major_locator(LogLocator(subs=next(fitting, (1,))))
    axis.set_minor_locator(NullLocator())
    if len(_in_view(axis, axis.get_majorticklocs())) < 2:
        axis.set_major_locator(FixedLocator(_even_ticks(ax, side, axis.get_major_formatter())))


def _even_ticks(ax: Axes, side: Side, formatter: Formatter) -> list[float]:
    """As many ticks at even distances as have room for their labels."""
    axis = _axis(ax, side)
    ticks: list[float] = []
    for most in (8, 6, 5, 4, 3, 2):
        ticks = _in_view(
            axis, MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(*axis.get_view_interval())
        )
        width = max((len(formatter(tick)) for tick in ticks), default=0) * CHARACTER * SMALL + 4
        needed = max(MIN_TICK_DISTANCE[side], width if side == "x" else 0)
        places = _places(ax, side, ticks)
        if all(after - before >= needed for before, after in pairwise(places)):
            return ticks
    return ticks


def set_ticks_at(
    ax: Axes, side: Side, values: Iterable[float], labels: dict[float, str] | None = None
) -> None:
    """Set ticks at those of `values` that are far enough apart, from the largest down.

    Args:
        ax: the axes.
        side: the axis.
        values: the places of ticks.
        labels: the label of each value; by default the value, to three digits.
    """
    texts = labels or {value: f"{value:.3g}" for value in values}
    kept: list[float] = []
    last = float("inf")
    for value, place in zip(ordered := sorted(texts, reverse=True), _places(ax, side, ordered), strict=True):
        width = (len(texts[value]) + 1) * CHARACTER * SMALL if side == "x" else 0
        if last - place >= max(MIN_TICK_DISTANCE[side], width):
            kept.append(value)
            last = place
    axis = _axis(ax, side)
    axis.set_ticks(kept, [texts[value] for value in kept])
    axis.set_minor_locator(NullLocator())


def _axis(ax: Axes, side: Side) -> Axis:
    axis: Axis = getattr(ax, f"{side}axis")
    return axis


def _in_view(axis: Axis, ticks: Iterable[float]) -> list[float]:
    """The ticks inside the limits of the axis."""
    low, high = sorted(axis.get_view_interval())
    return [float(tick) for tick in ticks if low <= tick <= high]


def _places(ax: Axes, side: Side, values: Sequence[float]) -> list[float]:
    """The places of values along an axis, in points."""
    at = "xy".index(side)
    own = ax.get_xlim()[0] if side == "y" else ax.get_ylim()[0]
    points = [(value, own) if side == "x" else (own, value) for value in values]
    return [float(ax.transData.transform(point)[at]) / figure_of(ax).dpi * 72 for point in points]
