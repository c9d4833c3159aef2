"""Plots of costs: each function draws a frame on given axes, and each point is a row.

Without axes, a function makes a figure of `PAGE_SIZE`, or of another `size` in inches.
For several plots in one figure, pass axes: `plt.subplots(figsize=COLUMN_SIZE, layout="constrained")`.
Set the size of the figure first: labels are placed for its current size.
A result, such as an ablation, gives the title; for a frame, pass a `title`.
Plots never move, smooth or jitter values.
Their colours suit colour-blind readers, and their markers grey prints.

    ablations.py         ablations: accuracy against cost, scaling laws
    option_costs.py      ablations: costs against any option
    pareto_front.py      searches: cost against objective, with the Pareto front
    space_networks.py    searches in a space: objective against a limited total
    search_limits.py     limits and the best variant of a search
    comparisons.py       comparisons: totals relative to the first model
    one_report.py        one report: profile, shares, lower bounds, intensity
    memory_timeline.py   one network: the bytes alive at each operator
    time_prediction.py   one network: its predicted time along depth, and the roofline
    time_along_depth.py  the time of each operator, by part
    roofline.py          the flops per second of each operator
    waterfalls.py        one network: from our macs to the totals of other counters
    waterfall_panel.py   one counter of a waterfall
    waterfall_bars.py    the bars of a waterfall
    evaluation_figure.py one trained network: its confusion matrix, and images with their classes
    confusion_matrix.py  a cell for each pair of true and predicted class
    classified_images.py images with their true and predicted classes
    depthwise_filters.py one trained network: the filters of its depthwise layers
    papers.py            figures from the papers
    activations.py       numbers of the papers' figures on activations
    accuracy_sources.py  marks for the sources of accuracies
    variant_options.py   options of variants: text, levels and places
    titles.py            titles: the model and its input
    frames.py            frames as input
    drawing.py           axes, titles, notes, colours
    legends.py           legends
    ticks.py             ticks
    labels.py            labels next to points
    saving.py            figures as files
"""

from mbanalyze.plots.ablations import ablation, left_out, scaling, tradeoff
from mbanalyze.plots.comparisons import comparison
from mbanalyze.plots.depthwise_filters import filters
from mbanalyze.plots.drawing import COLUMN_SIZE, PAGE_SIZE, PlotError
from mbanalyze.plots.evaluation_figure import evaluation
from mbanalyze.plots.memory_timeline import memory
from mbanalyze.plots.one_report import bound, intensity, profile, shares
from mbanalyze.plots.option_costs import costs
from mbanalyze.plots.pareto_front import pareto
from mbanalyze.plots.saving import check_format, encode, save
from mbanalyze.plots.space_networks import space
from mbanalyze.plots.time_prediction import prediction
from mbanalyze.plots.waterfalls import waterfall

__all__ = [
    "COLUMN_SIZE",
    "PAGE_SIZE",
    "PlotError",
    "ablation",
    "bound",
    "check_format",
    "comparison",
    "costs",
    "encode",
    "evaluation",
    "filters",
    "intensity",
    "left_out",
    "memory",
    "pareto",
    "prediction",
    "profile",
    "save",
    "scaling",
    "shares",
    "space",
    "tradeoff",
    "waterfall",
]


def __dir__() -> list[str]:
    return __all__
