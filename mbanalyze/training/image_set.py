"""Training and test images with their classes, all of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Images(Protocol):
    """Images with labels."""

    @property
    def labels(self) -> Tensor:
        """The index of each image's class: int64 of shape `[n]`."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def pixels(self, indices: Tensor) -> Tensor:
        """Return some images as float32 of shape `[k, c, h, w]`, from 0 to 1."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TensorImages:
    """Images in one tensor, resized bilinearly when they are read.

    Attributes:
        stored: the images at their own size: shape `[n, c, h, w]`.
        labels: as in `Images`.
        size: height and width of the images that are read, in pixels.
        channels: their channels; one grey channel is repeated.
        white: the stored value of white.
    """

    stored: Tensor
    labels: Tensor
    size: tuple[int, int]
    channels: int
    white: float

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, indices: Tensor) -> Tensor:
        """Return some images, as `Images` does."""
        read = self.stored[indices].to(torch.float32) / self.white
        if read.shape[2:] != self.size:
            read = functional.interpolate(read, self.size, mode="bilinear", antialias=True)
        return read.expand(-1, self.channels, -1, -1)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Training and test images of some classes.

    Attributes:
        name: the data set, as `load` takes it.
        classes: the name of each class, in the order of the labels.
        train: the images to train on.
        test: the images that measure accuracy.
        mean: the mean of each channel, or of all, that `normalised` subtracts.
        deviation: the standard deviation by which it divides.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return images `[k, c, h, w]` with values from 0 to 1 as the network takes them."""
        mean, deviation = (
            torch.tensor(values, device=pixels.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (pixels - mean) / deviation
