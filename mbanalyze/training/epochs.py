"""The record of an epoch, and the position within one."""

from __future__ import annotations

from typing import NamedTuple


class Epoch(NamedTuple):
    """An epoch of training.

    Attributes:
        epoch: its number, from 1.
        loss: the mean loss of the training images, as the epoch saw them.
        train_accuracy: the fraction of training images that were classified correctly when the epoch saw them.
        test_accuracy: the fraction of test images that are classified correctly after the epoch.
        learning_rate: the learning rate of its last step.
        seconds: the time that it took, with the test.
        macs: its multiply-accumulates: forward and backward for the training images, forward for the test images.
            None if they are unknown.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    learning_rate: float
    seconds: float
    macs: int | None


class Position(NamedTuple):
    """The position in a run after a step of training.

    Attributes:
        epoch: the number of the epoch, from 1.
        epochs: the epochs of the run.
        step: the steps of this epoch so far.
        steps: the steps of an epoch.
        loss: the mean loss of this epoch so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float

    @property
    def fraction(self) -> float:
        """The completed fraction of the run."""
        return (self.epoch - 1 + self.step / self.steps) / self.epochs
