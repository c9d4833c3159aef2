"""A figure of a predicted time: the time of each operator along the depth, and the roofline."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mbanalyze.display.records import one_line
from mbanalyze.display.units import milliseconds
from mbanalyze.inputs.plot_size import Size, check_size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data
from mbanalyze.plots.roofline import draw_roofline, points_of
from mbanalyze.plots.time_along_depth import draw_depth
from mbanalyze.plots.titles import title_of
from mbanalyze.timing.prediction import Prediction

PANEL = 3.4
"""The height of a panel in inches, in a figure without a given size."""


def prediction(data: Data, *, size: Size | None = None, title: str | None = None) -> Figure:
    """Plot the predicted time of each operator along the depth of the network, and the roofline.

    The bar of an operator has a colour for each part of its time.
    The roofline has one point for each operator with flops, of the colour of its largest part.
    Its roofs are the highest rates of flops and of bytes of operators that spend most of their time on them.

    Args:
        data: the result of `mbanalyze.predict`.
        size: width and height of the figure in inches; by default as wide as a page, and as high as its panels need.
        title: the title; by default the model, its input, the machine of the profile, and the predicted time.

    Raises:
        PlotError: the network has no operators, or `data` is another result.
        PlotSizeError: the size is out of range.
    """
    if not isinstance(data, Prediction):
        raise drawing.PlotError(f"cannot draw {data!r} as a predicted time: give the result of predict(...)")
    if not data.time.operators:
        raise drawing.PlotError(f"{data.report.reference} has no operators whose time could be drawn")
    points = points_of(data)
    panels = 2 if points else 1
    width, height = check_size(size or (drawing.PAGE_SIZE[0], PANEL * panels))
    figure, grid = plt.subplots(panels, figsize=(width, height), layout="constrained", squeeze=False)
    depth, *roofline = grid[:, 0]
    time = data.total
    interval = f"{milliseconds(time.low_ms)} to {milliseconds(time.high_ms)} ms"
    default = f"{title_of(data)}, on {data.profile.name}: {milliseconds(time.predicted_ms)} ms ({interval})"
    draw_depth(depth, data, one_line(default if title is None else title))
    for ax in roofline:
        draw_roofline(ax, points, len(data.time.operators))
    return figure
