"""Tensors among the inputs of a forward, before torch makes them: `Shape` and `Values`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, SupportsIndex

from mbanalyze.inputs.typed import DTYPES, InputError, Sizes, is_shape, is_whole

FILLS = ("zeros", "ones", "arange", "rand")
"""The values that a `Shape` may ask for, named after the functions of torch that make them."""


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Shape:
    """The shape of a tensor among the inputs of a forward; `mbanalyze.count` makes the tensor.

    Among the positional inputs, a plain tuple of whole numbers is a shape too. A `Shape` states more than a tuple
    does, and may also stand inside a container and among the keyword arguments.

    Attributes:
        sizes: the sizes, each above zero; none for a tensor without dimensions.
        dtype: a name from `DTYPES`, or None for the element type of the model.
        fill: a name from `FILLS` for a tensor with these values, or None for a tensor without values.

    >>> Shape(1, 128, dtype="int64", fill="ones")
    Shape(1, 128, dtype='int64', fill='ones')
    """

    sizes: Sizes
    dtype: str | None
    fill: str | None

    def __init__(self, *sizes: SupportsIndex, dtype: Any = None, fill: str | None = None) -> None:
        """Check the sizes and names.

        Args:
            sizes: the sizes, one by one.
            dtype: an element type of torch, or its name.
            fill: as the attribute.

        Raises:
            InputError: a size is not a whole number above 0, or a name is unknown.
        """
        if not all(is_whole(size) and size > 0 for size in sizes):
            given = ", ".join(map(repr, sizes))
            raise InputError(f"Shape takes whole numbers above 0, such as Shape(1, 3, 224, 224), not {given}")
        name = None if dtype is None else str(dtype).removeprefix("torch.")
        if name is not None and name not in DTYPES:
            raise InputError(f"unknown dtype {name!r}: choose one of {', '.join(DTYPES)}")
        if fill is not None and fill not in FILLS:
            raise InputError(f"unknown fill {fill!r}: choose one of {', '.join(FILLS)}")
        if fill == "rand" and name and not name.startswith(("float", "bfloat", "complex")):
            raise InputError(f"rand makes numbers between 0 and 1, not {name}: choose zeros, ones or arange")
        object.__setattr__(self, "sizes", tuple(map(int, sizes)))
        object.__setattr__(self, "dtype", name)
        object.__setattr__(self, "fill", fill)

    def __repr__(self) -> str:
        named = [f"{name}={value!r}" for name in ("dtype", "fill") if (value := getattr(self, name))]
        return f"Shape({', '.join([*map(str, self.sizes), *named])})"

    def resized(self, *sizes: int) -> Shape:
        """Return the shape with other sizes."""
        return Shape(*sizes, dtype=self.dtype, fill=self.fill)


def positional(given: Any) -> Any:
    """Return an input by position as a `Shape` if it is a plain tuple of whole numbers, else unchanged.

    Raises:
        InputError: a size is below 1.
    """
    return Shape(*given) if is_shape(given) else given


@dataclass(frozen=True, slots=True)
class Values:
    """A tensor with given values, for text; in Python, the tensor itself is given.

    Attributes:
        values: a number, or nested lists of numbers.
        dtype: a name from `DTYPES`, or None for the type of the values.
    """

    values: Any
    dtype: str | None = None
