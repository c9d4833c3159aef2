"""The methods of tensors that return a view, which are called faster than their operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch._C import TensorBase

VIEWS: Mapping[str, Callable[..., Any]] = {
    "aten::view": TensorBase.view,
    "aten::permute": TensorBase.permute,
    "aten::transpose.int": TensorBase.transpose,
    "aten::t": TensorBase.t,
    "aten::unsqueeze": TensorBase.unsqueeze,
    "aten::squeeze.dim": TensorBase.squeeze,
    "aten::select.int": TensorBase.select,
    "aten::unbind.int": TensorBase.unbind,
    "aten::chunk": TensorBase.chunk,
}
"""Full name of an operator -> the method with the same arguments; each always returns views of its first argument."""
