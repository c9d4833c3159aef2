"""Activations and the curve that ReLU folds, against torch and by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch.nn import functional

from mbanalyze.memory_access.experiments import TITLES, series
from mbanalyze.plots import papers as illustrations
from mbanalyze.plots.activations import embedding, folded, hard_swish, kept, spiral, swish
from mbanalyze.plots.drawing import PlotError


def test_activations_are_torchs() -> None:
    """Swish is SiLU; hard-swish has its name there."""
    x = np.linspace(-8, 8, 101)

    assert np.allclose(functional.silu(torch.tensor(x)).numpy(), swish(x))
    assert np.allclose(functional.hardswish(torch.tensor(x)).numpy(), hard_swish(x))


def test_the_spiral_begins_at_the_origin_and_ends_at_distance_one() -> None:
    """Two turns end where they began in angle."""
    curve = spiral(points=5, turns=2)

    assert np.allclose([[0, 0], [1, 0]], curve[:, [0, -1]].T)
    assert np.allclose([0, 0.25, 0.5, 0.75, 1], np.hypot(*curve))


def test_points_whose_coordinates_are_all_positive_come_back() -> None:
    """ReLU leaves them as they are, and the pseudo-inverse undoes the matrix."""
    matrix = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    points = np.array([[1.0, 2.0, 3.0], [3.0, 0.5, 1.0]])

    assert np.allclose(points, folded(points, matrix))
    assert kept(points, matrix) == 1.0


def test_points_that_one_coordinate_is_left_of_are_lost() -> None:
    """The identity keeps a quadrant of the plane: of four points, one in each, one."""
    points = np.array([[1.0, -1.0, -1.0, 1.0], [1.0, 1.0, -1.0, -1.0]])

    assert kept(points, np.eye(2)) == 0.25
    assert np.allclose([[1, 0, 0, 1], [1, 1, 0, 0]], folded(points, np.eye(2)))


def test_thirty_dimensions_keep_every_point_and_two_do_not() -> None:
    """What Figure 1 is about, in the embeddings that its picture shows; the same seed embeds alike."""
    points = spiral()[:, 1:]  # the origin is in no direction

    assert kept(points, embedding(30)) == kept(points, embedding(15)) == 1.0
    assert kept(points, embedding(2)) < 0.5
    assert (embedding(5, seed=3) == embedding(5, seed=3)).all()


def test_the_manifold_has_a_picture_for_each_dimension() -> None:
    """The input first, and beside it what is left, with the share that is kept."""
    figure = illustrations.manifold((2, 30))

    assert [ax.get_title().split("\n")[0] for ax in figure.axes] == ["input", "n = 2", "n = 30"]
    (dots,) = figure.axes[0].collections
    assert np.allclose(spiral().T, dots.get_offsets())
    plt.close("all")


def test_the_picture_of_activations_is_their_values() -> None:
    """Each curve is its function, and the dotted one their difference."""
    ax = illustrations.activations()
    curves = {line.get_gid(): line for line in ax.lines}
    x = np.asarray(curves["swish"].get_xdata())

    assert np.allclose(swish(x), curves["swish"].get_ydata())
    assert np.allclose(hard_swish(x), curves["hard-swish"].get_ydata())
    assert np.allclose(hard_swish(x) - swish(x), curves["their-difference"].get_ydata())
    plt.close("all")


@pytest.mark.parametrize("platform", ["GPU", "ARM"])
@pytest.mark.parametrize("guideline", TITLES)
def test_the_picture_of_speeds_is_what_is_printed(guideline: str, platform: str) -> None:
    """For each width a line through the printed speeds, relative to its first."""
    ax = illustrations.speeds(guideline, platform)
    lines = {str(line.get_gid()): line for line in ax.lines}

    for scale in (1, 2, 4):
        found = [trial.speed for trial in series(guideline, platform, scale)]
        assert np.allclose(np.array(found) / found[0], np.asarray(lines[f"printed-{scale}"].get_ydata()))
    plt.close("all")


def test_unknown_experiments_are_refused() -> None:
    """The message names those there are."""
    with pytest.raises(PlotError, match="no experiment 'G5' on 'GPU': G1, G2, G3, G4 on GPU, ARM"):
        illustrations.speeds("G5")
