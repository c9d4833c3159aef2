"""The filters of the depthwise layers of a trained network."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mbanalyze.display.records import one_line
from mbanalyze.inputs.plot_size import LARGEST, SMALLEST, Size, check_size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data
from mbanalyze.plots.titles import spaced
from mbanalyze.training.evaluation import DepthwiseLayer, Evaluation

MOST = 24
"""The most filters of a layer that are drawn."""
ROW = 0.38
"""The height of a layer in inches."""
COLOURS = "RdBu_r"


def filters(data: Data, *, size: Size | None = None, title: str | None = None) -> Figure:
    """Plot the filters of each depthwise layer, a row for each layer and a square for each filter.

    Red weights are positive and blue ones are negative. Each layer has a scale of its own, up to its largest weight.

    Args:
        data: the result of `mbanalyze.evaluate`.
        size: width and height of the figure in inches; by default as wide as a page, and as high as its layers need.
        title: the title; by default the model and the data that it was trained on.

    Raises:
        PlotError: the network has no depthwise layer, or too many for a figure, or `data` is another result.
        PlotSizeError: the size is out of range.
    """
    if not isinstance(data, Evaluation):
        raise drawing.PlotError(f"cannot draw filters of {data!r}: give the result of evaluate(...)")
    layers = data.depthwise
    if not layers:
        raise drawing.PlotError(f"{data.reference} has no depthwise layer whose filters could be drawn")
    usual = min(max(0.6 + ROW * len(layers), SMALLEST[1]), LARGEST[1])
    width, height = check_size(size or (drawing.PAGE_SIZE[0], usual))
    figure, grid = plt.subplots(len(layers), figsize=(width, height), layout="constrained", squeeze=False)
    default = f"depthwise filters of {spaced(data.reference)}, trained on {data.trained_on}"
    text = one_line(default if title is None else title)
    figure.suptitle(text, fontsize=drawing.TEXT, x=0.01, ha="left")
    for ax, layer in zip(grid[:, 0], layers, strict=True):
        _draw_layer(ax, layer)
    _draw_scale(figure)
    return figure


def _draw_layer(ax: Axes, layer: DepthwiseLayer) -> None:
    """Draw the filters of a layer in a row, with its path and their number at the left."""
    shown = layer.filters[:MOST]
    h, w = layer.filters.shape[1:]
    strip = np.full((h, MOST * (w + 1) - 1), np.nan)
    for i, each in enumerate(shown):
        strip[:, i * (w + 1) : i * (w + 1) + w] = each
    most = float(np.abs(layer.filters).max()) or 1.0
    ax.imshow(strip, cmap=COLOURS, vmin=-most, vmax=most, interpolation="nearest")
    for i in range(len(shown)):
        corner = (i * (w + 1) - 0.5, -0.5)
        ax.add_patch(Rectangle(corner, w, h, fill=False, edgecolor="0.6", linewidth=0.5, clip_on=False))
    total = len(layer.filters)
    number = f"{total} filters" if total <= MOST else f"{MOST} of {total} filters"
    ax.set_ylabel(
        f"{one_line(layer.path)}\n{number}, {h}x{w}, |w| ≤ {most:.2g}",
        fontsize=drawing.SMALL, rotation=0, ha="right", va="center",
    )  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _draw_scale(figure: Figure) -> None:
    """Draw the colours between the largest negative and the largest positive weight of a layer."""
    colours = ScalarMappable(Normalize(-1, 1), COLOURS)
    bar = figure.colorbar(colours, ax=figure.axes, shrink=0.5, aspect=30, pad=0.01)
    bar.set_ticks([-1, 0, 1], labels=["-largest", "0", "+largest"], fontsize=drawing.SMALL)
    bar.outline.set_visible(False)
