"""Comparisons and maxima of numbers, or of arrays of numbers."""

from __future__ import annotations

from typing import TypeVar

N = TypeVar("N", int, float)


def anywhere(condition: object) -> bool:
    """Whether `condition` is true, in any element where it is an array."""
    return bool(condition.any() if hasattr(condition, "any") else condition)


def at_least(least: N, number: N) -> N:
    """`number`, or `least` where it is less."""
    return number.at_least(least) if hasattr(number, "at_least") else max(least, number)
