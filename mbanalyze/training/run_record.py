"""The record of a run: the network, the data and the settings, and its epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.literature.accuracy.run_tables import RUN_SCHEMA
from mbanalyze.training.epochs import Epoch
from mbanalyze.training.recipes import Recipe, as_settings


class RunError(ValueError):
    """A folder that is no run, or a damaged run, or one that cannot be continued."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run: what was trained on what, and the epochs that are finished.

    Attributes:
        model: the name of the model, without options.
        options: its options, with `num_classes` if the model takes it.
        size: height and width of its images in pixels.
        channels: their channels.
        data: the data set, as `load` takes it.
        classes: the name of each class, in the order of the labels.
        images: the number of training images and of test images.
        recipe: the settings.
        seed: the seed.
        device: the device, as torch names it.
        versions: the versions of the software.
        epochs: the finished epochs.
    """

    model: str
    options: Mapping[str, Any]
    size: tuple[int, int]
    channels: int
    data: str
    classes: tuple[str, ...]
    images: tuple[int, int]
    recipe: Recipe
    seed: int
    device: str
    versions: Mapping[str, str]
    epochs: tuple[Epoch, ...] = ()

    @property
    def reference(self) -> str:
        """The name of the model with its options."""
        return spell_reference(self.model, self.options)

    @property
    def is_finished(self) -> bool:
        """True if every epoch has run."""
        return len(self.epochs) == self.recipe.epochs

    @property
    def best(self) -> Epoch | None:
        """The epoch with the highest test accuracy, the earliest of several; None before the first is finished."""
        return max(self.epochs, key=lambda each: (each.test_accuracy, -each.epoch), default=None)

    def with_epoch(self, epoch: Epoch) -> RunRecord:
        """Return the record with one more epoch."""
        return replace(self, epochs=(*self.epochs, epoch))

    def settings(self) -> dict[str, Any]:
        """Return what the run was asked for, which a resumed run has to repeat."""
        train, test = self.images
        return {
            "model": self.model,
            "options": dict(self.options),
            "size": list(self.size),
            "channels": self.channels,
            "data": self.data,
            "classes": list(self.classes),
            "train_images": train,
            "test_images": test,
            "recipe": as_settings(self.recipe),
            "seed": self.seed,
            "device": self.device,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the record as the JSON document of schema `RUN_SCHEMA`."""
        best = self.best
        return {
            "schema": RUN_SCHEMA,
            **self.settings(),
            "versions": dict(self.versions),
            "best_epoch": best and best.epoch,
            "epochs": [each._asdict() for each in self.epochs],
        }
