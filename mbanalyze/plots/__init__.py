"""Pictures of what networks cost: each draws a frame on the axes it is given, and each point is a row of it.

Without axes, a figure of a page's width is made. For a column, or several pictures in one figure, make the axes:
`plt.subplots(figsize=COLUMN, layout="constrained")`. Labels of points find their places in the figure as it is
when they are drawn, so give it its size first. Values are never moved, smoothed or jittered; colours are told
apart by colour-blind readers, and markers and luminance in grey.

    variants.py     variants: trade-off, scaling, Pareto front
    one_report.py   one report: profile, shares, bounds, intensity
    drawing.py      axes, labels, legends
    papers.py       what the papers illustrate
    activations.py  what the papers say of activations, as numbers
"""

from mbanalyze.plots.drawing import COLUMN, PAGE, PlotError, check_format, save
from mbanalyze.plots.one_report import bound, convolutions_frame, intensity, profile, shares
from mbanalyze.plots.variants import pareto, scaling, tradeoff, variants

__all__ = [
    "COLUMN",
    "PAGE",
    "PlotError",
    "bound",
    "check_format",
    "convolutions_frame",
    "intensity",
    "pareto",
    "profile",
    "save",
    "scaling",
    "shares",
    "tradeoff",
    "variants",
]
