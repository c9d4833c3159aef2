"""The names of data sets, without the images."""

from __future__ import annotations

from mbanalyze.inputs.choices import meant

DATA = ("digits", "cifar10", "folder:")
"""The data sets: `digits`, `cifar10` or `cifar10:PATH`, and `folder:PATH`."""

_SIDES = {"digits": 32, "cifar10": 32, "folder": 224}


class DataError(ValueError):
    """A data set that cannot be read, or on which no network can be trained."""


def split_data(data: str) -> tuple[str, str]:
    """Return the kind of a data set, and its place, or "" if none is given.

    Raises:
        DataError: there is no such data set.
    """
    kind, colon, place = data.partition(":") if isinstance(data, str) else ("", "", "")
    named = bool(place) if kind == "folder" else not colon or bool(place)
    if kind not in _SIDES or not named or (kind == "digits" and colon):
        hint = meant(kind, _SIDES)
        raise DataError(f"unknown data {data!r}: {hint}give digits, cifar10, cifar10:PATH or folder:PATH")
    return kind, place


def default_side(data: str) -> int:
    """Return the side in pixels to which the images of a data set are resized unless another is given.

    Raises:
        DataError: there is no such data set.
    """
    return _SIDES[split_data(data)[0]]
