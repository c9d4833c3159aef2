"""Shapes and element types of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, TypeGuard

Shape = tuple[int, ...]


def is_shape(given: object) -> TypeGuard[Shape]:
    """Return True for a tuple or list of integers, including NumPy integers."""
    return isinstance(given, tuple | list) and all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in given
    )


class InputError(ValueError):
    """An input that is missing, malformed or not accepted by the model."""


Mode = Literal["eval", "train"]
"""The mode in which a module runs."""

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
"""The element types that an input may have."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A shape with an element type from `DTYPES`, for an input that differs from the model's own type."""

    shape: Shape
    dtype: str
