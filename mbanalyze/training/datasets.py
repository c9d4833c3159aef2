"""The data sets by name, as training and test images."""

from __future__ import annotations

from pathlib import Path

from mbanalyze.training import cifar10, digits, image_folder
from mbanalyze.training.cifar10 import FOLDER, load_cifar10
from mbanalyze.training.data_names import DataError, split_data
from mbanalyze.training.digits import load_digits
from mbanalyze.training.image_folder import load_folder
from mbanalyze.training.image_set import ImageSet

_SCALES = {
    "digits": (digits.MEAN, digits.DEVIATION),
    "cifar10": (cifar10.MEAN, cifar10.DEVIATION),
    "folder": (image_folder.MEAN, image_folder.DEVIATION),
}


def scale(data: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation by which the images of a data set are normalised.

    Raises:
        DataError: there is no such data set.
    """
    return _SCALES[split_data(data)[0]]


def load(data: str, size: tuple[int, int], channels: int = 3, *, download: bool = False) -> ImageSet:
    """Return a data set whose images have a size in pixels and a number of channels.

    Args:
        data: `digits`, `cifar10`, `cifar10:PATH` or `folder:PATH`.
        size: height and width.
        channels: 3, or 1 for `digits`.
        download: fetch CIFAR-10 if its folder does not have it.

    Raises:
        DataError: there is no such data set, it cannot be read, or it does not have such channels.
    """
    kind, place = split_data(data)
    if channels != 3 and not (kind == "digits" and channels >= 1):
        raise DataError(f"images of {data} have 3 channels, and the network takes {channels}")
    if kind == "digits":
        return load_digits(size, channels)
    if kind == "cifar10":
        return load_cifar10(data, Path(place) if place else FOLDER, size, download=download)
    return load_folder(data, Path(place), size)
