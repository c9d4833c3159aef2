"""Limits on the tensors that a file fills with values: larger constants continue without values, or are refused."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.torch_internals import DisableTorchDispatch, schema_of, tree_leaves, tree_map_only

_MAX_ELEMENTS = 2**22
"""The most elements of a constant that is computed with its values."""

_MAX_ON_VALUES = 2**31
"""The most elements of a tensor that an operator makes from sizes in a run on values."""

_RANGES = frozenset({"aten::arange", "aten::eye", "aten::linspace", "aten::logspace", "aten::randperm"})
"""Operators that make tensors from numbers, which are their sizes."""

_SIZED_BY_VALUES = frozenset({"aten::repeat_interleave", "aten::bincount", "aten::_repeat_interleave"})
"""Operators whose outputs are as large as the values of their arguments."""


def without_large_values(
    recorder: Recorder, overload: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of an operator, on the meta device if it would fill a large tensor with values."""
    tensors = tuple(each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor))
    if recorder.execution.real or recorder.execution.lacks_values(tensors):
        return args, kwargs
    schema = schema_of(overload)
    with DisableTorchDispatch():
        moved, named = tree_map_only(Tensor, _on_meta, (args, kwargs))
        if any(argument.name == "device" for argument in schema.arguments):
            named = {**named, "device": torch.device("meta")}
        if schema.name in _SIZED_BY_VALUES:
            return moved, named
        try:
            outputs = tree_leaves(overload(*moved, **named))
        except Exception:
            return args, kwargs  # the values decide, and outputs are no larger than the arguments
    large = any(isinstance(each, Tensor) and each.numel() > _MAX_ELEMENTS for each in outputs)
    return (moved, named) if large else (args, kwargs)


def require_size(overload: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise `ValueError` for an operator that would fill more memory than a run on values of a network does."""
    schema = schema_of(overload)
    for each in (*args, *kwargs.values()):
        numbers = each if isinstance(each, list) else [each] if schema.name in _RANGES else []
        whole = [abs(number) for number in numbers if isinstance(number, int | float)]
        if len(whole) == len(numbers) and numbers and prod(whole) > _MAX_ON_VALUES:
            raise ValueError(f"a tensor of over {_MAX_ON_VALUES:,} elements is too large to run on values")


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
