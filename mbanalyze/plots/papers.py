"""Figures from the papers: activations, the spiral that ReLU folds, and the measured speeds."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mbanalyze.memory_access.experiments import TITLES, Experiments, series
from mbanalyze.plots import activations as functions
from mbanalyze.plots import drawing

DIMENSIONS = (2, 3, 5, 15, 30)
"""The dimensions of MobileNetV2's Figure 1."""


def activations(ax: Axes | None = None) -> Axes:
    """Plot swish, hard-swish and their difference: Howard et al., 2019, arXiv:1905.02244, Figure 6."""
    x = np.linspace(-6, 6, 481)
    curves = {"swish": functions.swish(x), "hard-swish": functions.hard_swish(x)}
    curves["difference"] = curves["hard-swish"] - curves["swish"]
    ax = drawing.get_axes(ax)
    for (name, y), color, line in zip(curves.items(), drawing.PALETTE, ("-", "--", ":"), strict=False):
        ax.plot(x, y, line, color=color, linewidth=1.4, label=name, gid=name)
    drawing.style_axes(ax, "input", "output")
    drawing.legend_above(ax)
    return ax


def manifold(dimensions: Sequence[int] = DIMENSIONS, seed: int = 0) -> Figure:
    """Plot a spiral before and after ReLU in n dimensions: Sandler et al., 2018, arXiv:1801.04381, Figure 1.

    The colour runs along the spiral. Titles show the share of its points that the output of ReLU determines.
    """
    points = functions.spiral()
    width, height = drawing.PAGE_SIZE[0], drawing.PAGE_SIZE[0] / (len(dimensions) + 1) + 0.45
    figure, axes = plt.subplots(1, len(dimensions) + 1, figsize=(width, height), layout="constrained")
    curves = {"input": points}
    for n in dimensions:
        matrix = functions.random_embedding(n, seed)
        share = 100 * functions.recoverable_share(points, matrix)
        curves[f"n = {n}\n{share:.0f} % kept"] = functions.reconstruct(points, matrix)
    for ax, (title, (x, y)) in zip(axes, curves.items(), strict=True):
        ax.scatter(x, y, 3, range(len(x)), cmap=drawing.COLORMAP, linewidths=0)
        ax.set_title(title, fontsize=drawing.TEXT)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set(xticks=[], yticks=[])
    return figure


def speeds(guideline: str, platform: str = "GPU", ax: Axes | None = None) -> Axes:
    """Plot the published speeds of one of ShuffleNet V2's experiments, and those that memory access predicts.

    Speeds are relative to the first setting of the same width. The prediction is for the smallest width;
    those of the other widths are nearly equal.

    Args:
        guideline: "G1" to "G4".
        platform: "GPU" or "ARM".
        ax: the axes.

    Raises:
        PlotError: the experiment is unknown.
    """
    found = [r for r in Experiments().records() if (r["guideline"], r["platform"]) == (guideline, platform)]
    if not found:
        known = f"guidelines are {', '.join(TITLES)}, platforms are GPU, ARM"
        raise drawing.PlotError(f"no experiment {guideline!r} on {platform!r}: {known}")
    scales = sorted({record["scale"] for record in found})
    settings = [trial.setting.replace(" ", "\n", 1) for trial in series(guideline, platform, scales[0])]
    ax = drawing.get_axes(ax)
    predicted = [record["predicted"] for record in found if record["scale"] == scales[0]]
    ax.plot(settings, predicted, "--", color="0.4", linewidth=1.2, label="predicted", gid="predicted")
    for scale, (color, marker) in drawing.styles(scales).items():
        published = [record["relative_speed"] for record in found if record["scale"] == scale]
        ax.plot(
            settings, published, color=color, marker=marker, markersize=4.5, linewidth=1, gid=f"published-{scale}",
            label=f"published, width x {scale}",
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    drawing.style_axes(ax, f"{guideline} on {platform}", "relative speed")
    drawing.legend_above(ax)
    return ax
