"""A figure of an evaluation: the confusion matrix, and images with their true and predicted classes."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mbanalyze.display.records import one_line
from mbanalyze.inputs.plot_size import Size, check_size
from mbanalyze.plots import drawing
from mbanalyze.plots.classified_images import draw_images
from mbanalyze.plots.confusion_matrix import draw_confusion
from mbanalyze.plots.frames import Data
from mbanalyze.plots.titles import spaced
from mbanalyze.training.evaluation import Evaluation

NARROW, WIDE = 0.72, 1.0
"""The width and height of an image in inches, with class names of few or many characters."""
FEW = 3
"""The characters of short class names."""


def evaluation(data: Data, *, size: Size | None = None, title: str | None = None) -> Figure:
    """Plot the confusion matrix of a trained network, and images with their true and predicted classes.

    The images are the mistakes, the most confident first, then correct ones.

    Args:
        data: the result of `mbanalyze.evaluate`.
        size: width and height of the figure in inches.
        title: the title; by default the model, the data and the accuracy.

    Raises:
        PlotError: `data` is another result.
        PlotSizeError: the size is out of range.
    """
    if not isinstance(data, Evaluation):
        raise drawing.PlotError(f"cannot draw {data!r} as an evaluation: give the result of evaluate(...)")
    width, height = check_size(size or drawing.PAGE_SIZE)
    figure = plt.figure(figsize=(width, height), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.15, 1))[0]
    cell = NARROW if max(map(len, data.classes)) <= FEW else WIDE
    draw_images(right, data, max(1, int((height - 0.3) / cell)), max(1, int(width / 2.15 / cell)))
    correct = f"{data.correct:,} of {data.images:,} images of {data.data} correct"
    default = f"{spaced(data.reference)}: {correct}"
    draw_confusion(left.subplots(), data, one_line(default if title is None else title))
    return figure
