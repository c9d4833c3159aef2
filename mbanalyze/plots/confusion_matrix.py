"""The confusion matrix of a trained network."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from mbanalyze.display.records import one_line
from mbanalyze.plots import drawing
from mbanalyze.training.evaluation import Evaluation

MOST_NUMBERS = 20
"""The most classes whose numbers are written into the cells."""
MOST_NAMES = 60
"""The most classes whose names are written at the axes."""
LONGEST_NAME = 18
"""The most characters of a class name at an axis."""


def draw_confusion(ax: Axes, data: Evaluation, title: str) -> None:
    """Draw a cell for each pair of true class and predicted class.

    The colour is the share of the images of the true class: blue for correct ones, orange for mistakes.
    Orange begins at the smallest mistake, so that a single one is visible.
    """
    counts = np.array(data.confusion, dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    correct = np.eye(len(counts), dtype=bool)
    mistakes = np.ma.masked_where(correct | (counts == 0), shares)
    ax.imshow(np.ma.masked_where(~correct, shares), cmap="Blues", vmin=0, vmax=1.6)
    if mistakes.count():
        most = float(mistakes.max())
        ax.imshow(mistakes, cmap="Oranges", vmin=-0.5 * most, vmax=1.5 * most)
    if len(counts) <= MOST_NUMBERS:
        size = min(drawing.SMALL, 0.45 * drawing.axis_length(ax, "x") / len(counts))
        for row, column in np.argwhere(counts > 0):
            ax.text(column, row, f"{int(counts[row, column])}", ha="center", va="center", fontsize=size)
    _name_classes(ax, data.classes)
    drawing.style_axes(ax, "predicted class", "true class")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    drawing.set_title(ax, title)


def _name_classes(ax: Axes, classes: tuple[str, ...]) -> None:
    """Write the names of the classes at both axes, or none if there are too many."""
    if len(classes) > MOST_NAMES:
        ax.set_xticks([])
        ax.set_yticks([])
        return
    names = [shortened(name) for name in classes]
    upright = max(map(len, names)) <= 2
    ax.set_xticks(range(len(names)), names, rotation=0 if upright else 90)
    ax.set_yticks(range(len(names)), names)


def shortened(name: str) -> str:
    """Return the name of a class on one line, with an ellipsis if it is long."""
    text = one_line(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."
