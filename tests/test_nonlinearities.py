"""Figures from the papers: activations against torch, and the loss through ReLU by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch.nn import functional

from mbanalyze.memory_access.experiments import TITLES, series
from mbanalyze.plots import papers
from mbanalyze.plots.activations import (
    hard_swish,
    random_embedding,
    reconstruct,
    recoverable_share,
    spiral,
    swish,
)
from mbanalyze.plots.drawing import PlotError


def test_activations_equal_torch() -> None:
    """Swish is torch's SiLU, and hard-swish its Hardswish."""
    x = np.linspace(-8, 8, 101)

    assert np.allclose(functional.silu(torch.tensor(x)).numpy(), swish(x))
    assert np.allclose(functional.hardswish(torch.tensor(x)).numpy(), hard_swish(x))


def test_the_spiral_begins_at_the_origin_and_ends_at_distance_one() -> None:
    """After two turns the angle is again that of the start."""
    curve = spiral(points=5, turns=2)

    assert np.allclose([[0, 0], [1, 0]], curve[:, [0, -1]].T)
    assert np.allclose([0, 0.25, 0.5, 0.75, 1], np.hypot(*curve))


def test_positive_points_are_reconstructed() -> None:
    """ReLU does not change points with positive coordinates, and the pseudo-inverse restores them."""
    matrix = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    points = np.array([[1.0, 2.0, 3.0], [3.0, 0.5, 1.0]])

    assert np.allclose(points, reconstruct(points, matrix))
    assert recoverable_share(points, matrix) == 1.0


def test_points_with_one_positive_coordinate_are_lost() -> None:
    """The identity keeps one quadrant of the plane: one of four points."""
    points = np.array([[1.0, -1.0, -1.0, 1.0], [1.0, 1.0, -1.0, -1.0]])

    assert recoverable_share(points, np.eye(2)) == 0.25
    assert np.allclose([[1, 0, 0, 1], [1, 1, 0, 0]], reconstruct(points, np.eye(2)))


def test_thirty_dimensions_keep_every_point_and_two_do_not() -> None:
    """Figure 1 of MobileNetV2 shows this loss; equal seeds give equal embeddings."""
    points = spiral()[:, 1:]  # the origin is in no direction

    shares = {n: recoverable_share(points, random_embedding(n)) for n in (2, 15, 30)}
    assert shares[30] == shares[15] == 1.0
    assert shares[2] < 0.5
    assert (random_embedding(5, seed=3) == random_embedding(5, seed=3)).all()
    assert not (random_embedding(5, seed=3) == random_embedding(5, seed=4)).any()


def test_the_manifold_has_axes_for_each_dimension() -> None:
    """The first axes show the input, the others the reconstruction, with the share that is kept."""
    figure = papers.manifold((2, 30))

    assert [ax.get_title().split("\n")[0] for ax in figure.axes] == ["input", "n = 2", "n = 30"]
    (dots,) = figure.axes[0].collections
    assert np.allclose(spiral().T, dots.get_offsets())
    (dots,) = figure.axes[1].collections
    assert np.allclose(reconstruct(spiral(), random_embedding(2)).T, dots.get_offsets())
    plt.close("all")


def test_curves_of_activations_have_their_values() -> None:
    """Each curve has the values of its function, and the third their difference."""
    ax = papers.activations()
    curves = {line.get_gid(): line for line in ax.lines}
    x = np.asarray(curves["swish"].get_xdata())

    assert np.allclose(swish(x), curves["swish"].get_ydata())
    assert np.allclose(hard_swish(x), curves["hard-swish"].get_ydata())
    assert np.allclose(hard_swish(x) - swish(x), curves["difference"].get_ydata())
    plt.close("all")


@pytest.mark.parametrize("platform", ["GPU", "ARM"])
@pytest.mark.parametrize("guideline", TITLES)
def test_lines_of_speeds_have_the_published_values(guideline: str, platform: str) -> None:
    """Each width has a line through its published speeds, relative to the first setting."""
    ax = papers.speeds(guideline, platform)
    lines = {str(line.get_gid()): line for line in ax.lines}

    for scale in (1, 2, 4):
        found = [trial.speed for trial in series(guideline, platform, scale)]
        assert np.allclose(np.array(found) / found[0], np.asarray(lines[f"published-{scale}"].get_ydata()))
    plt.close("all")


def test_unknown_experiments_raise() -> None:
    """The message lists the known guidelines and platforms."""
    known = "guidelines are G1, G2, G3, G4, platforms are GPU, ARM"
    with pytest.raises(PlotError, match=f"no experiment 'G5' on 'GPU': {known}"):
        papers.speeds("G5")
