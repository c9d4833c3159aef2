"""Files and folders of the library: a path is a `str` or a `Path`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from guarded import write_project

from mbanalyze import ablate, guard, plots

KINDS: tuple[Callable[[Path], str | os.PathLike[str]], ...] = (str, Path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot(tmp_path: Path, kind: Callable[[Path], str | os.PathLike[str]]) -> None:
    """A plot is saved under a text or a path, and both are refused alike."""
    axes = plots.ablation(ablate("mobilenet_v1", alpha=[1, 0.5]))
    place = tmp_path / "plot.svg"
    plots.save(axes, kind(place))

    assert place.read_text().startswith("<?xml")
    assert plots.check_format(kind(Path("folder/plot.PNG"))) == ".png"
    with pytest.raises(plots.PlotError, match=r"cannot save a plot as 'plot\.bmp'"):
        plots.save(axes, kind(tmp_path / "plot.bmp"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy(tmp_path: Path, kind: Callable[[Path], str | os.PathLike[str]]) -> None:
    """A policy is found, read and extended under a text or a path."""
    write_project(tmp_path)
    file = tmp_path / "pyproject.toml"
    policy = guard.load(kind(file))

    assert guard.find(kind(tmp_path)) == file
    assert (policy.path, policy.lock) == (file, tmp_path / "mbanalyze.lock.json")
    assert guard.policy_place(kind(tmp_path)) == file
    added = guard.init(kind(file), ["squeezenet1_1"], {"resolution": 64})
    assert "squeezenet1_1" in added.policy.models


@pytest.mark.parametrize("kind", KINDS)
def test_your_own_accuracy(tmp_path: Path, kind: Callable[[Path], str | os.PathLike[str]]) -> None:
    """A file of accuracies is read under a text or a path."""
    file = tmp_path / "accuracy.csv"
    file.write_text("alpha,top1\n1,71\n0.5,62\n")
    frame = ablate("mobilenet_v1", alpha=[1, 0.5], accuracy=kind(file)).frame()

    assert list(frame["top1"]) == [71, 62]
