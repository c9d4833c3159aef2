"""Functions that a node names and that PyTorch runs otherwise: arithmetic of sizes, and constants."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.torch_internals import SYM_SQRT, DisableTorchDispatch

_MAX_SHIFT = 64


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > _MAX_SHIFT:
        raise OverflowError("the exponent of a size is too large")
    return base**exponent


def _shifted(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def shift(number: Any, places: Any) -> Any:
        if places > _MAX_SHIFT:
            raise OverflowError("the shift of a size is too large")
        return function(number, places)

    return shift


def _constant(tensor: Tensor) -> Tensor:
    """A constant that the forward makes from Python numbers, which runs no operator."""
    with DisableTorchDispatch():
        return torch.clone(tensor)


def _filled(tensor: Tensor, value: Tensor) -> Tensor:
    """The assignment of a number to a part of a tensor, which PyTorch runs as a copy and exports as a fill."""
    return tensor.copy_(value.expand(tensor.shape))


def _view(tensor: Tensor, size: Any) -> Tensor:
    """A view; a tensor with other strides than at export is first made contiguous, as in the module."""
    if not tensor.is_contiguous():
        with DisableTorchDispatch():
            empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            try:
                empty.view(size)
                is_possible = True
            except RuntimeError:
                is_possible = False
        if not is_possible:
            tensor = tensor.contiguous()
    return tensor.view(size)


_NAMED = (
    *("eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "mod", "truediv"),
    *("and_", "or_", "not_", "getitem"),
)

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in _NAMED},
    "_operator.pow": _power,
    "_operator.lshift": _shifted(operator.lshift),
    "_operator.rshift": _shifted(operator.rshift),
    "math.trunc": math.trunc,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "torch.sym_not": operator.not_,
    "torch.sym_int": int,
    "torch.sym_float": float,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_sum": sum,
    "torch.sym_ite": lambda condition, if_true, if_false: if_true if condition else if_false,
    "torch.sym_sqrt": math.sqrt,
    SYM_SQRT: math.sqrt,
    "torch.ops.aten.lift_fresh_copy.default": _constant,
    "torch.ops.aten.fill_.Tensor": _filled,
    "torch.ops.aten.view.default": _view,
    "torch.ops.aten.sym_size.int": lambda tensor, dim: tensor.shape[dim],
    "torch.ops.aten.sym_size.default": lambda tensor: list(tensor.shape),
    "torch.ops.aten.sym_stride.int": lambda tensor, dim: tensor.stride(dim),
    "torch.ops.aten.sym_stride.default": lambda tensor: list(tensor.stride()),
    "torch.ops.aten.sym_numel.default": Tensor.numel,
    "torch.ops.aten.sym_storage_offset.default": Tensor.storage_offset,
}
"""Target -> the function of its arguments, in order."""
