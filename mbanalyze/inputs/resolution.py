"""The size of an input image: one number of pixels for a square, or height x width."""

from __future__ import annotations

import re
from typing import Any

from mbanalyze.inputs.typed import InputError, is_whole

Resolution = int | tuple[int, int]
"""Pixels of each side of a square, or the height and width of any other image."""

MAX_SIDE = 10**9
"""The largest side of an image, in pixels."""

_TEXT = re.compile(r"\s*([0-9]{1,10})(?:\s*[xX\u00d7]\s*([0-9]{1,10}))?\s*")


def as_resolution(given: Any) -> Resolution:
    """Return a resolution from a number, a height and width, or text such as `224` or `160x224`.

    >>> as_resolution(224), as_resolution("160x224"), as_resolution([160, 224]), as_resolution("96X96")
    (224, (160, 224), (160, 224), 96)

    Raises:
        InputError: `given` is no resolution, or a side is not from 1 to `MAX_SIDE`.
    """
    found = _TEXT.fullmatch(given) if isinstance(given, str) else None
    read = [int(side) for side in found.groups(found[1])] if found else given
    image = tuple(read) if isinstance(read, tuple | list) else (read, read)
    if len(image) != 2 or not all(is_whole(side) and 1 <= side <= MAX_SIDE for side in image):
        raise InputError(
            f"resolution must be a whole number from 1 to {MAX_SIDE}, "
            f"or height x width such as 160x224, not {given!r}"
        )
    height, width = map(int, image)
    return height if height == width else (height, width)


def sides(resolution: Resolution) -> tuple[int, int]:
    """Return the height and width."""
    return resolution if isinstance(resolution, tuple) else (resolution, resolution)


def spell_resolution(resolution: Resolution) -> int | str:
    """Return a resolution as tables and files show it: the number of a square, else text.

    >>> spell_resolution(224), spell_resolution((160, 224))
    (224, '160x224')
    """
    return "x".join(map(str, resolution)) if isinstance(resolution, tuple) else resolution
