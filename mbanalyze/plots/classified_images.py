"""Images with their true and predicted classes."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure, SubFigure

from mbanalyze.plots import drawing
from mbanalyze.plots.confusion_matrix import shortened
from mbanalyze.training.evaluation import Evaluation

MISTAKE = "#D55E00"
"""The colour of the names of a wrong image."""
SHORT = 10
"""The characters of two class names that need two lines."""


def draw_images(figure: Figure | SubFigure, data: Evaluation, rows: int, columns: int) -> None:
    """Draw images in a grid: the mistakes, the most confident one first, then the first correct images."""
    chosen = _chosen(data, rows * columns)
    mistakes = sum(data.targets[i] != data.predicted[i] for i in chosen)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax in grid.flat:
        ax.axis("off")
    for ax, i, image in zip(grid.flat, chosen, data.read(chosen), strict=False):
        shown = image if image.shape[2] == 3 else image[:, :, 0]
        ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        colour = "black" if data.targets[i] == data.predicted[i] else MISTAKE
        ax.set_title(_caption(data, i), fontsize=drawing.SMALL, pad=2, color=colour)
    text = f"{mistakes} of {data.mistakes} mistakes" if data.mistakes else "no mistakes"
    order = ", the most confident first" if mistakes > 1 else ""
    rest = ", then correct images" if 0 < mistakes < len(chosen) else ""
    characters = int(figure.bbox.width / figure.dpi * 72 / (drawing.CHARACTER * drawing.TEXT))
    title = textwrap.fill(f"{text}{order}{rest}", characters)
    figure.suptitle(title, fontsize=drawing.TEXT, x=0.02, ha="left")


def _caption(data: Evaluation, i: int) -> str:
    """The true class of an image, and the predicted one if it differs, on a line of its own unless both are short."""
    true, found = (shortened(data.classes[index]) for index in (data.targets[i], data.predicted[i]))
    if data.targets[i] == data.predicted[i]:
        return true
    return f"{true}, not {found}" if len(true + found) < SHORT else f"{true},\nnot {found}"


def _chosen(data: Evaluation, most: int) -> list[int]:
    """The images that are drawn."""
    order = range(len(data.targets))
    wrong = [i for i in order if data.targets[i] != data.predicted[i]]
    wrong.sort(key=lambda i: (-data.confidence[i], i))
    right = [i for i in order if data.targets[i] == data.predicted[i]]
    return [*wrong, *right][:most]
