"""The roofline: the flops per second of each operator, by its flops per byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mbanalyze.display.units import si
from mbanalyze.plots import drawing
from mbanalyze.plots.legends import legend_above, legend_entry
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.time_along_depth import COLOURS
from mbanalyze.profiles.class_fit import Roof
from mbanalyze.profiles.operator_class import class_of
from mbanalyze.profiles.predicted_time import OperatorTime
from mbanalyze.profiles.work import Work, work_of
from mbanalyze.timing.prediction import Prediction

MARKERS: dict[Roof, str] = {"compute": "o", "activations": "s", "weights": "D", "overhead": "^"}
"""The marker of each part of a time."""


class Point(NamedTuple):
    """An operator with flops, and its work."""

    time: OperatorTime
    work: Work

    @property
    def moved(self) -> int:
        """The bytes that it reads and writes."""
        return self.work.activation_bytes + self.work.weight_bytes

    @property
    def intensity(self) -> float:
        """Its flops per byte."""
        return self.work.flops / self.moved

    @property
    def speed(self) -> float:
        """Its flops per second."""
        return self.work.flops / self.time.ns * 1e9


class Ceiling(NamedTuple):
    """A roof: a rate per second, and the class that has it."""

    rate: float
    name: str


def points_of(data: Prediction) -> list[Point]:
    """Return the operators that have flops, bytes and a time, which logarithmic axes can show."""
    works = [(each, work_of(each.op, data.profile.itemsize)) for each in data.time.operators]
    points = [Point(each, work) for each, work in works if each.ns]
    return [point for point in points if point.work.flops and point.moved]


def draw_roofline(ax: Axes, points: Sequence[Point], operators: int) -> None:
    """Draw a point for each operator, below the roofs of flops and of bytes.

    Args:
        ax: the axes.
        points: the operators with flops.
        operators: the number of all operators.
    """
    left = operators - len(points)
    drawing.note(ax, [f"without flops, and without a point: {left} of {operators} operators"] * (left > 0))
    entries: list[Any] = []
    for part, marker in MARKERS.items():
        some = [point for point in points if point.time.parts.roof == part]
        if some:
            ax.plot(
                [point.intensity for point in some], [point.speed for point in some], marker, color=COLOURS[part],
                markersize=3.2, linestyle="", zorder=3, gid=f"{part}-points",
            )  # fmt: skip
            entries.append(legend_entry(f"mostly {part}", marker=marker, color=COLOURS[part]))
    ax.set(xscale="log", yscale="log")
    ax.margins(0.08)
    compute = ceiling(points, lambda point: (point.work.flops, point.time.parts.compute))
    memory = ceiling(
        points, lambda point: (point.moved, point.time.parts.activations + point.time.parts.weights)
    )
    entries += _draw_roofs(ax, compute, memory)
    drawing.style_axes(ax, "arithmetic intensity (flops per byte)", "predicted flops per second")
    legend_above(ax, entries)
    set_ticks(ax, "x", pd.Series([point.intensity for point in points]))
    set_ticks(ax, "y", pd.Series([point.speed for point in points]))


def ceiling(points: Sequence[Point], part: Callable[[Point], tuple[int, float]]) -> Ceiling | None:
    """Return the highest rate of the operators that spend over half of their time on it; None without any.

    Args:
        points: the operators.
        part: the amount of work of an operator, and the nanoseconds that it takes for it.
    """
    rates = []
    for point in points:
        amount, ns = part(point)
        if 2 * ns > point.time.ns:
            rates.append(Ceiling(amount / ns * 1e9, class_of(point.time.op)))
    return max(rates, default=None)


def _draw_roofs(ax: Axes, compute: Ceiling | None, memory: Ceiling | None) -> list[Any]:
    """Draw the line of each roof up to where they meet, and return their entries of the legend."""
    x = np.geomspace(*ax.get_xlim(), 200)
    inf = np.full_like(x, np.inf)
    flat = inf if compute is None else np.full_like(x, compute.rate)
    slope = inf if memory is None else memory.rate * x
    entries = []
    for found, line, other, style, unit in (
        (memory, slope, flat, "--", "B"),
        (compute, flat, slope, "-", "flop"),
    ):
        if found and (line <= other).any():
            (drawn,) = ax.plot(
                x, np.where(line <= other, line, np.nan), style, color="black", linewidth=0.9, gid=f"{unit}-roof"
            )  # fmt: skip
            label = f"{si(round(found.rate))}{unit}/s: {found.name}"
            entries.append(legend_entry(label, color="black", linestyle=drawn.get_linestyle(), marker=""))
    return entries
