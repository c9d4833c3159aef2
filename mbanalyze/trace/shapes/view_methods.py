"""The methods of tensors for operators that return views: a method is called faster than its operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mbanalyze.trace.torch_internals import TensorBase

Method = Callable[..., Any]

VIEWS: Mapping[str, Method] = {
    "aten::view": TensorBase.view,
    "aten::permute": TensorBase.permute,
    "aten::transpose.int": TensorBase.transpose,
    "aten::t": TensorBase.t,
    "aten::expand": TensorBase.expand,
    "aten::unsqueeze": TensorBase.unsqueeze,
    "aten::squeeze.dim": TensorBase.squeeze,
    "aten::select.int": TensorBase.select,
    "aten::unbind.int": TensorBase.unbind,
    "aten::chunk": TensorBase.chunk,
}
"""Full name of an operator that always returns views of its first argument -> the method with the same arguments."""

METHODS: Mapping[str, Method] = {
    **VIEWS,
    "aten::reshape": TensorBase.reshape,
    "aten::flatten.using_ints": TensorBase.flatten,
}
"""The same for operators that return a view or a copy."""
