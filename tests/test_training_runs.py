"""Training runs: the record of each epoch, the same numbers for the same seed, and the process as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import mbanalyze
from mbanalyze.training.trained_run import TrainingRun, read_run


class Tiny(nn.Sequential):
    """A convolution, dropout and a linear layer on the means of the channels."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(3, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, num_classes),
        )


def numbers(run: TrainingRun) -> list[tuple[object, ...]]:
    """The epochs of a run without their times."""
    return [epoch._replace(seconds=0) for epoch in run.epochs]


def test_a_seed_gives_the_same_numbers() -> None:
    """Two runs with one seed have the same epochs and weights, and another seed has others."""
    one, two = (mbanalyze.train(Tiny, epochs=2, batch=512, resolution=8, seed=3) for _ in range(2))
    other = mbanalyze.train(Tiny, epochs=2, batch=512, resolution=8, seed=4)

    assert numbers(one) == numbers(two) != numbers(other)
    weights = two.module().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.module().state_dict().items())


def test_accuracies_are_fractions(tmp_path: Path) -> None:
    """A run in a folder is read back equal; its accuracies are from 0 to 1, and its weights have the best."""
    run = mbanalyze.train(Tiny, epochs=1, batch=512, resolution=8, output=tmp_path / "run")

    assert read_run(tmp_path / "run", Tiny).record == run.record
    assert 0 <= run.test_accuracy <= 1
    images = run.images()
    with torch.no_grad():
        found = run.module()(images.normalised(images.test.pixels(torch.arange(len(images.test))))).argmax(1)
    assert float((found == images.test.labels).double().mean()) == pytest.approx(run.test_accuracy)
