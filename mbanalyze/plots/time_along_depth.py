"""The predicted time of each operator along the depth of a network, with a colour for each part."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mbanalyze.display.units import milliseconds
from mbanalyze.plots import drawing
from mbanalyze.plots.legends import legend_above
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.profiles.class_fit import Roof
from mbanalyze.timing.prediction import Prediction

COLOURS: dict[Roof, str] = {
    "compute": "#0072B2",
    "activations": "#E69F00",
    "weights": "#009E73",
    "overhead": "0.6",
}
"""The colour of each part of a time."""


def draw_depth(ax: Axes, data: Prediction, title: str) -> None:
    """Draw the time of each operator, with its parts on top of each other. Bands separate blocks."""
    operators = data.time.operators
    edges, level = np.arange(len(operators) + 1) - 0.5, np.zeros(len(operators))
    entries = []
    for part, colour in COLOURS.items():
        times = np.array([getattr(each.parts, part) / 1e6 for each in operators])
        if not times.any():
            continue
        ax.stairs(level + times, edges, baseline=level, fill=True, color=colour, linewidth=0, gid=part)
        level = level + times
        entries.append(Patch(color=colour, label=f"{part}: {milliseconds(float(times.sum()))} ms"))
    ax.set_ylim(0, level.max() * 1.08 or 1)
    drawing.style_axes(ax, "operator, in order (bands are blocks)", "predicted time (ms)")
    drawing.shade_blocks(ax, [each.op.path for each in operators])
    legend_above(ax, entries, title=title)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    set_ticks(ax, "y", pd.Series(level))
