"""Shapes of inputs, and their types."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, TypeGuard

Shape = tuple[int, ...]


def is_shape(given: object) -> TypeGuard[Shape]:
    """Whether `given` is a tuple or list of integers, Python's or NumPy's."""
    return isinstance(given, tuple | list) and all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in given
    )


class InputError(ValueError):
    """An input that is missing, malformed, or given where none is taken."""


Mode = Literal["eval", "train"]
"""What a module is run in."""

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
"""The names of the types that an input may have."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A shape with a type other than the model's own, one of `DTYPES`."""

    shape: Shape
    dtype: str
