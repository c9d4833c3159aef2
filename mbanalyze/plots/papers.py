"""Pictures of what the papers argue from: activations, the curve that ReLU folds, and the printed speeds."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mbanalyze.memory_access.experiments import TITLES, Experiments, Trial, series
from mbanalyze.plots import drawing
from mbanalyze.plots.activations import embedding, folded, hard_swish, kept, spiral, swish

DIMENSIONS = (2, 3, 5, 15, 30)
"""Those of MobileNetV2's Figure 1, and 5."""


def activations(ax: Axes | None = None) -> Axes:
    """Swish and hard-swish, and how far they are apart: Howard et al., 2019, arXiv:1905.02244, Figure 6."""
    x = np.linspace(-6, 6, 481)
    curves = {"swish": swish(x), "hard-swish": hard_swish(x), "their difference": hard_swish(x) - swish(x)}
    ax = drawing.axes(ax)
    for (name, y), color, line in zip(curves.items(), drawing.COLORS, ("-", "--", ":"), strict=False):
        ax.plot(x, y, line, color=color, linewidth=1.4, label=name, gid=name.replace(" ", "-"))
    drawing.finish(ax, "input", "output")
    drawing.legend_above(ax)
    return ax


def manifold(dimensions: Sequence[int] = DIMENSIONS, seed: int = 0) -> Figure:
    """A spiral, and what is left of it after ReLU in n dimensions: Sandler et al., 2018, Figure 1.

    Colour runs along the spiral. The titles say which share of its points can still be told from what ReLU left.
    """
    points = spiral()
    width, height = drawing.PAGE[0], drawing.PAGE[0] / (len(dimensions) + 1) + 0.45
    figure, axes = plt.subplots(1, len(dimensions) + 1, figsize=(width, height), layout="constrained")
    pictures = {"input": points}
    for n in dimensions:
        matrix = embedding(n, seed)
        pictures[f"n = {n}\n{100 * kept(points, matrix):.0f} % kept"] = folded(points, matrix)
    for ax, (title, (x, y)) in zip(axes, pictures.items(), strict=True):
        ax.scatter(x, y, 3, range(len(x)), cmap=drawing.SHADES, linewidths=0)
        ax.set_title(title, fontsize=drawing.TEXT)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xticks([])
        ax.set_yticks([])
    return figure


def speeds(guideline: str, platform: str = "GPU", ax: Axes | None = None) -> Axes:
    """Printed speeds of one of ShuffleNet V2's experiments, beside what memory access alone predicts.

    All are relative to the first setting of their width. The prediction is that of the narrowest, from which
    those of the others differ by little.

    Args:
        guideline: "G1" to "G4".
        platform: "GPU" or "ARM".

    Raises:
        PlotError: no such experiment.
    """
    found = [r for r in Experiments().records() if (r["guideline"], r["platform"]) == (guideline, platform)]
    if not found:
        raise drawing.PlotError(
            f"no experiment {guideline!r} on {platform!r}: {', '.join(TITLES)} on GPU, ARM"
        )
    scales = sorted({record["scale"] for record in found})
    settings = [_short(trial) for trial in series(guideline, platform, scales[0])]
    ax = drawing.axes(ax)
    narrow = [record["predicted"] for record in found if record["scale"] == scales[0]]
    ax.plot(settings, narrow, "--", color="0.4", linewidth=1.2, label="predicted", gid="predicted")
    for scale, (color, marker) in drawing.styles(scales).items():
        printed = [record["relative_speed"] for record in found if record["scale"] == scale]
        ax.plot(
            settings, printed, color=color, marker=marker, markersize=4.5, linewidth=1, gid=f"printed-{scale}",
            label=f"printed, width x {scale}",
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    drawing.finish(ax, f"{guideline} on {platform}", "relative speed")
    drawing.legend_above(ax)
    return ax


def _short(trial: Trial) -> str:
    """A setting on two lines."""
    return trial.setting.replace(" ", "\n", 1)
