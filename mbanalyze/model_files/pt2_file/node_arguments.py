"""The arguments of a node, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.pt2_file.format_numbers import DTYPES, LAYOUTS, MEMORY_FORMATS
from mbanalyze.model_files.pt2_file.pt2_graph import Graph

Values = Mapping[str, Any]
"""The values of a graph that are known so far, by name."""


class Opaque:
    """A value that is not read, such as an object of another library."""


def argument_of(content: Mapping[str, Any], values: Values, run: Callable[[Graph], Any]) -> Any:
    """Return an encoded argument in Python.

    Args:
        content: the argument: a dict with its type and value.
        values: the values that it may name.
        run: returns the function of a graph.

    Raises:
        ModelFileError: it names an unknown value, or has an unknown type.
    """
    ((kind, value),) = content.items()
    if kind in _PLAIN:
        return _PLAIN[kind](value)
    if kind in _NAMED or kind.removesuffix("s") in _NAMED or kind == "as_nested_tensors":
        return _named(value, values)
    if kind == "as_string_to_argument":
        return {key: argument_of(each, values, run) for key, each in value.items()}
    if kind == "as_graph":
        return run(value["graph"])
    if kind == "as_custom_obj":
        return Opaque()
    raise ModelFileError(f"an argument has the unknown type {kind[:40]!r}")


def number(value: Any) -> Any:
    """Return a floating-point number, which may be a text such as "Infinity"."""
    if isinstance(value, str) and value not in ("Infinity", "-Infinity", "NaN"):
        raise ValueError(f"{value[:40]!r} is no number")
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{str(value)[:40]!r} is no whole number")
    return value


def _device(value: Mapping[str, Any]) -> torch.device:
    """The device of an argument: the weights of a file are on the CPU, or have no values."""
    return torch.device("meta" if value["type"] == "meta" else "cpu")


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_int": _whole,
    "as_ints": lambda value: list(map(_whole, value)),
    "as_int_lists": lambda value: [list(map(_whole, each)) for each in value],
    "as_float": number,
    "as_floats": lambda value: list(map(number, value)),
    "as_float_lists": lambda value: [list(map(number, each)) for each in value],
    "as_complex": lambda value: complex(number(value["real"]), number(value["imag"])),
    "as_bool": bool,
    "as_bools": lambda value: list(map(bool, value)),
    "as_string": str,
    "as_strings": lambda value: list(map(str, value)),
    "as_operator": str,
    "as_scalar_type": lambda value: getattr(torch, DTYPES[value]),
    "as_layout": lambda value: getattr(torch, LAYOUTS[value]),
    "as_memory_format": lambda value: getattr(torch, MEMORY_FORMATS[value]),
    "as_device": _device,
}
"""Type of an argument -> its value in Python."""

_NAMED = ("as_tensor", "as_optional_tensor", "as_sym_int", "as_sym_float", "as_sym_bool")
"""Types of arguments that name a value, or state a number; with an "s", lists of these."""


def _named(content: Any, values: Values) -> Any:
    """The value that an argument names; a number, or None, that it states; lists of these."""
    if isinstance(content, list):
        return [_named(each, values) for each in content]
    for kind, value in content.items():
        if kind in ("name", "as_name"):
            if value not in values:
                raise ModelFileError(f"it uses {str(value)[:80]!r} before a node computes it")
            return values[value]
        if kind == "as_tensor":
            return _named(value, values)
        if kind in _PLAIN:
            return _PLAIN[kind](value)
    raise ModelFileError("an argument names no value")
