"""Sizes and strides of an output, and the tensors without data that have them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mbanalyze.inputs.typed import Sizes
from mbanalyze.trace.schema import Arguments

META = torch.device("meta")

ShapeRule = Callable[[Arguments], Any]
"""A function from the arguments of a call to its outputs without data; None if PyTorch has to compute them."""


def contiguous(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """Return a contiguous meta tensor of `shape`, by default of the dtype of `like`."""
    return _template(tuple(shape), dtype or like.dtype).clone()


@functools.lru_cache(maxsize=1024)
def _template(shape: Sizes, dtype: torch.dtype) -> Tensor:
    """A meta tensor, which is copied faster than a new one is made."""
    with torch.inference_mode():
        return torch.empty(shape, dtype=dtype, device=META)


def dense_output(like: Tensor) -> Tensor | None:
    """Return a meta tensor of the same shape and order of dimensions, without gaps.

    None if dimensions overlap or repeat elements, because their order is ambiguous.
    """
    if like.is_contiguous():
        return like.clone()
    strides = like.stride()
    order = [d for d, n in enumerate(like.shape) if n != 1]
    if len({strides[d] for d in order}) < len(order) or not all(strides[d] for d in order):
        return None
    dense, step = [1] * len(strides), 1
    for d in sorted(order, key=strides.__getitem__):
        dense[d] = step
        step *= like.shape[d]
    return torch.empty_strided(like.shape, dense, dtype=like.dtype, device=META)


def same_float_dtype(*tensors: Tensor | None) -> bool:
    """Return True if all tensors, None apart, have one floating-point dtype."""
    dtypes = {tensor.dtype for tensor in tensors if tensor is not None}
    return len(dtypes) == 1 and dtypes.pop().is_floating_point


def has_dim(tensor: Tensor, dim: int) -> bool:
    """Return True if `tensor` has a dimension `dim`, counted from either end."""
    return -tensor.dim() <= dim < tensor.dim()


def window_count(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the number of windows along a dimension of `n` elements; below 1 if the kernel is too large."""
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def broadcast_shape(a: Sizes, b: Sizes) -> Sizes | None:
    """Return the broadcast of two shapes; None if they do not fit."""
    if a == b:
        return a
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    sizes = list(long)
    for at, n in enumerate(short, len(long) - len(short)):
        if n != sizes[at] and n != 1:
            if sizes[at] != 1:
                return None
            sizes[at] = n
    return tuple(sizes)


def is_viewable(tensor: Tensor, sizes: list[int]) -> bool:
    """Return True if `tensor` can be viewed with `sizes`: they split each run of packed dimensions."""
    runs: list[int] = []
    step = None
    for n, stride in zip(reversed(tensor.shape), reversed(tensor.stride()), strict=True):
        if n == 1:
            continue
        if stride == step:
            runs[-1] *= n
        else:
            runs.append(n)
        step = n * stride
    left = 1
    for n in reversed(sizes):
        if left == 1 and n != 1:
            left = runs.pop(0)
        if left % n:
            return False
        left //= n
    return True
