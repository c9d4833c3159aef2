"""Long lists as a limited number of runs, so that a picture stays quick to draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def runs(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return the items in at most `most` runs of neighbours, all but the last equally long.

    >>> runs("abcdefg", 3), runs("ab", 3)
    (['abc', 'def', 'g'], ['a', 'b'])
    """
    length = max(1, -(-len(items) // most))
    return [items[start : start + length] for start in range(0, len(items), length)]
