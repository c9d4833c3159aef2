"""Types of what users give: sizes, modes, element types and the error of an input."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Literal, TypeAlias, TypeGuard

Sizes = tuple[int, ...]
"""The sizes of a tensor."""
AnyPath: TypeAlias = "str | os.PathLike[str]"
"""The place of a file or folder."""


def is_whole(given: object) -> TypeGuard[int]:
    """Return True for a whole number, including a NumPy integer; a boolean is none."""
    return isinstance(given, Integral) and not isinstance(given, bool)


def is_shape(given: object) -> TypeGuard[Sizes]:
    """Return True for a plain tuple or `torch.Size` of whole numbers; a named tuple is none."""
    kind = type(given)
    plain = kind is tuple or (kind.__module__, kind.__qualname__) == ("torch", "Size")
    return isinstance(given, tuple) and plain and all(map(is_whole, given))


class InputError(ValueError):
    """An input that is missing, malformed or not accepted by the model."""


Mode = Literal["eval", "train"]
"""The mode in which a module runs."""

DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
)
"""The element types that an input may have."""
