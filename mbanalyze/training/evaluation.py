"""The result of `mbanalyze.evaluate`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mbanalyze.display.result import Result
from mbanalyze.report.network import versions

EVALUATION_SCHEMA = "mbanalyze.evaluation/1"


class DepthwiseLayer(NamedTuple):
    """A depthwise convolution.

    Attributes:
        path: its path in the module.
        filters: its weights, `[channels, height, width]`.
    """

    path: str
    filters: NDArray[np.float32]


class Confusion(NamedTuple):
    """Images of one class that the network took for another.

    Attributes:
        true: the index of their class.
        predicted: the index of the class that the network predicted.
        images: their number.
    """

    true: int
    predicted: int
    images: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Evaluation(Result):
    """The predictions of a trained network on test images.

    Attributes:
        reference: the network.
        run: the folder of its training.
        trained_on: the data that it was trained on.
        data: the data whose test images were classified.
        classes: the names of the classes.
        targets: the class of each image.
        predicted: the class that the network predicts for each image.
        confidence: the probability that the network gives its prediction.
        depthwise: the depthwise layers of the network, in the order of the module.
        read: returns some of the images by their indices, each `[height, width, channels]`, from 0 to 1.
    """

    reference: str
    run: str
    trained_on: str
    data: str
    classes: tuple[str, ...]
    targets: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: tuple[float, ...]
    depthwise: tuple[DepthwiseLayer, ...]
    read: Callable[[Sequence[int]], Sequence[NDArray[np.float32]]]

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.targets)

    @property
    def correct(self) -> int:
        """The number of images whose class was predicted."""
        return sum(a == b for a, b in zip(self.targets, self.predicted, strict=True))

    @property
    def mistakes(self) -> int:
        """The number of other images."""
        return self.images - self.correct

    @property
    def accuracy(self) -> float:
        """The fraction of images whose class was predicted."""
        return self.correct / self.images

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """The number of images for each true class (row) and predicted class (column)."""
        pairs = Counter(zip(self.targets, self.predicted, strict=True))
        indices = range(len(self.classes))
        return tuple(tuple(pairs[true, predicted] for predicted in indices) for true in indices)

    @property
    def confused(self) -> tuple[Confusion, ...]:
        """The mistakes by pair of classes, the most frequent pair first."""
        pairs = Counter(zip(self.targets, self.predicted, strict=True))
        found = [Confusion(*pair, images) for pair, images in sorted(pairs.items()) if pair[0] != pair[1]]
        return tuple(sorted(found, key=lambda each: -each.images))

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the JSON document of schema `EVALUATION_SCHEMA`."""
        return {
            "schema": EVALUATION_SCHEMA,
            "model": self.reference,
            "run": self.run,
            "trained_on": self.trained_on,
            "data": self.data,
            "images": self.images,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "classes": list(self.classes),
            "confusion": [list(row) for row in self.confusion],
            "versions": versions("torch"),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each class: its images, and how many were predicted correctly."""
        matrix = self.confusion
        return [
            {
                "class": name,
                "images": sum(row),
                "correct": row[i],
                "accuracy": row[i] / sum(row) if sum(row) else None,
                "predicted": sum(other[i] for other in matrix),
            }
            for i, (name, row) in enumerate(zip(self.classes, matrix, strict=True))
        ]
