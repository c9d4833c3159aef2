"""Figures from the papers: activations, the spiral that ReLU folds, and the measured speeds."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mbanalyze.inputs.plot_size import SMALLEST, Size, check_size
from mbanalyze.memory_access.experiments import TITLES, Experiments, series
from mbanalyze.plots import activations as functions
from mbanalyze.plots import drawing
from mbanalyze.plots.legends import legend_above

DIMENSIONS = (2, 3, 5, 15, 30)
"""The dimensions of MobileNetV2's Figure 1."""

SETTINGS = {
    "G1": "input : output channels",
    "G2": "groups",
    "G3": "fragments in a block",
    "G4": "element-wise operators",
}
"""The setting that each guideline's experiment varies."""


def activations(
    ax: Axes | None = None, *, size: Size | None = None, title: str = "swish and hard-swish"
) -> Axes:
    """Plot swish, hard-swish and their difference: Howard et al., 2019, arXiv:1905.02244, Figure 6."""
    x = np.linspace(-6, 6, 481)
    curves = {"swish": functions.swish(x), "hard-swish": functions.hard_swish(x)}
    curves["difference"] = curves["hard-swish"] - curves["swish"]
    ax = drawing.get_axes(ax, size)
    for (name, y), color, line in zip(curves.items(), drawing.PALETTE, ("-", "--", ":"), strict=False):
        ax.plot(x, y, line, color=color, linewidth=1.4, label=name, gid=name)
    drawing.style_axes(ax, "input", "output")
    legend_above(ax, title=title)
    return ax


def manifold(
    dimensions: Sequence[int] = DIMENSIONS,
    seed: int = 0,
    *,
    size: Size | None = None,
    title: str = "a spiral after ReLU in n dimensions",
) -> Figure:
    """Plot a spiral before and after ReLU in n dimensions: Sandler et al., 2018, arXiv:1801.04381, Figure 1.

    The colour runs along the spiral. Titles show the share of its points that the output of ReLU determines.
    """
    points = functions.spiral()
    width, height = drawing.PAGE_SIZE[0], drawing.PAGE_SIZE[0] / (len(dimensions) + 1) + 0.7
    shape = check_size(size or (width, max(height, SMALLEST[1])))
    figure, axes = plt.subplots(1, len(dimensions) + 1, figsize=shape, layout="constrained")
    figure.suptitle(title, fontsize=drawing.TEXT)
    curves = {"input": points}
    for n in dimensions:
        matrix = functions.random_embedding(n, seed)
        share = 100 * functions.recoverable_share(points, matrix)
        curves[f"n = {n}\n{share:.0f} % kept"] = functions.reconstruct(points, matrix)
    for ax, (above, (x, y)) in zip(axes, curves.items(), strict=True):
        ax.scatter(x, y, 3, range(len(x)), cmap=drawing.COLORMAP, linewidths=0)
        ax.set_title(above, fontsize=drawing.TEXT)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set(xticks=[], yticks=[])
    return figure


def speeds(
    guideline: str,
    platform: str = "GPU",
    ax: Axes | None = None,
    *,
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot the published speeds of one of ShuffleNet V2's experiments, and those that memory access predicts.

    Speeds are relative to the first setting of the same width. The prediction is for the smallest width;
    those of the other widths are nearly equal.

    Args:
        guideline: "G1" to "G4".
        platform: "GPU" or "ARM".
        ax: the axes.
        size: width and height of a new figure, in inches.
        title: the title; by default the guideline, its meaning and the platform.

    Raises:
        PlotError: the experiment is unknown.
    """
    found = [r for r in Experiments().records() if (r["guideline"], r["platform"]) == (guideline, platform)]
    if not found:
        known = f"guidelines are {', '.join(TITLES)}, platforms are GPU, ARM"
        raise drawing.PlotError(f"no experiment {guideline!r} on {platform!r}: {known}")
    scales = sorted({record["scale"] for record in found})
    settings = [trial.setting.replace(" ", "\n", 1) for trial in series(guideline, platform, scales[0])]
    ax = drawing.get_axes(ax, size)
    predicted = [record["predicted"] for record in found if record["scale"] == scales[0]]
    ax.plot(settings, predicted, "--", color="0.4", linewidth=1.2, label="predicted", gid="predicted")
    for scale, (color, marker) in drawing.styles(scales).items():
        published = [record["relative_speed"] for record in found if record["scale"] == scale]
        ax.plot(
            settings, published, color=color, marker=marker, markersize=4.5, linewidth=1, gid=f"published-{scale}",
            label=f"published, width x {scale}",
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    drawing.style_axes(ax, SETTINGS[guideline], "speed relative to the first setting")
    usual = f"{guideline} on {platform}: {TITLES[guideline]}"
    legend_above(ax, title=usual if title is None else title)
    return ax
