"""Parameters and buffers in the usual layout, found for all of them together: a property at a time is fast."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import torch
from torch import Tensor
from torch._C import TensorBase
from torch.nn import Parameter

from mbanalyze.inputs.typed import Sizes

_PLAIN = frozenset({Tensor, Parameter})

Whole = tuple[Sizes, torch.dtype]
"""The shape and element type of a tensor of contiguous floating-point numbers that starts its storage."""


def whole_tensors(tensors: Sequence[Tensor]) -> dict[int, Whole]:
    """Return the id of each tensor in this layout, and its shape and element type."""
    if not _PLAIN.issuperset(map(type, tensors)):
        tensors = [tensor for tensor in tensors if type(tensor) in _PLAIN]
    try:
        offsets = list(map(TensorBase.storage_offset, tensors))
        if any(offsets) or not all(map(TensorBase.is_contiguous, tensors)):
            tensors = [t for t in tensors if not t.storage_offset() and t.is_contiguous()]
        shapes = map(tuple, map(TensorBase.size, tensors))
        return dict(zip(map(id, tensors), zip(shapes, map(attrgetter("dtype"), tensors), strict=True), strict=True))
    except (NotImplementedError, RuntimeError):  # sparse and nested tensors have no storage
        return {}
