"""CIFAR-10, read by torchvision: 60,000 colour images of 32 x 32 pixels."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from mbanalyze.sources.references import summarize
from mbanalyze.training.data_names import DataError
from mbanalyze.training.extra import import_extra
from mbanalyze.training.image_set import ImageSet, TensorImages

FOLDER = Path("data")
"""The folder of the images unless another is given, as in torchvision's examples."""
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""The mean and the standard deviation of the training images, by channel."""


def load_cifar10(name: str, folder: Path, size: tuple[int, int], *, download: bool) -> ImageSet:
    """Return CIFAR-10 at a size in pixels, with its own split.

    Args:
        name: the data set, as `load` takes it.
        folder: the folder that torchvision reads.
        size: height and width of the images.
        download: fetch the images (170 MB) if the folder does not have them.

    Raises:
        DataError: torchvision is not installed, or the folder does not have the images.
    """
    parts = [_part(folder, train=train, download=download) for train in (True, False)]
    train_images, test_images = [
        TensorImages(
            torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets), size, 3, 255
        )
        for part in parts
    ]
    return ImageSet(name, tuple(parts[0].classes), train_images, test_images, MEAN, DEVIATION)


def _part(folder: Path, *, train: bool, download: bool) -> Any:
    datasets = import_extra("torchvision.datasets")
    try:
        with redirect_stdout(sys.stderr):
            return datasets.CIFAR10(folder, train=train, download=download)
    except RuntimeError as error:
        if download:
            raise DataError(f"cannot download CIFAR-10 to {folder}: {summarize(error)}") from error
        raise DataError(
            f"{folder} does not have CIFAR-10: --download fetches it (170 MB), or cifar10:PATH names its folder"
        ) from error
    except Exception as error:
        raise DataError(f"cannot read CIFAR-10 in {folder}: {summarize(error)}") from error
