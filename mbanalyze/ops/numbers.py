"""Comparisons and maxima of numbers, or of arrays of numbers."""

from __future__ import annotations

from typing import TypeVar

Number = TypeVar("Number", int, float)


def any_true(condition: object) -> bool:
    """Return True if `condition` is true; for an array, if any element is."""
    return bool(condition.any() if hasattr(condition, "any") else condition)


def at_least(minimum: Number, number: Number) -> Number:
    """Return the larger of `number` and `minimum`."""
    return number.at_least(minimum) if hasattr(number, "at_least") else max(minimum, number)
