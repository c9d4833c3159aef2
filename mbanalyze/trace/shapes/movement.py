"""Output shapes of operators that move elements: concatenation, copies, rolls and lookups."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.shapes.elementwise_shapes import same_shape
from mbanalyze.trace.shapes.layout import broadcast_shape, contiguous, has_dim, is_viewable, same_float_dtype


def cat(args: Arguments) -> Tensor | None:
    """Return the concatenation of contiguous tensors whose other sizes are equal."""
    parts, dim = args["tensors"], args["dim"]
    if not parts or not same_float_dtype(*parts):
        return None
    if parts[0].dim() in (4, 5) and not all(part.is_contiguous() for part in parts):
        return None  # images may be channels last
    sizes = list(parts[0].shape)
    if not 0 <= dim < len(sizes) or any(part.dim() != len(sizes) or not part.numel() for part in parts):
        return None
    others = {(*part.shape[:dim], *part.shape[dim + 1 :]) for part in parts}
    sizes[dim] = sum([part.shape[dim] for part in parts])
    return contiguous(parts[0], sizes) if len(others) == 1 else None


def roll(args: Arguments) -> Tensor | None:
    """Return a tensor like the first argument, if that has the dimensions."""
    dims, data = args["dims"], args["self"]
    fits = len(dims) == len(args["shifts"]) and all(has_dim(data, d) for d in dims)
    return same_shape(args) if dims and fits else None


def reshape(args: Arguments) -> Tensor | None:
    """Return a copy with new sizes, if no view has them."""
    data, sizes = args["self"], list(args["shape"])
    elements = data.numel()
    known = prod([n for n in sizes if n != -1])
    if data.is_contiguous() or not elements or not known or elements % known:
        return None
    if sizes.count(-1) > 1 or min(sizes) < -1:
        return None
    sizes = [elements // known if n == -1 else n for n in sizes]
    if prod(sizes) != elements or is_viewable(data, sizes):
        return None
    return contiguous(data, sizes)


def make_contiguous(args: Arguments) -> Tensor | None:
    """Return the argument itself or a contiguous copy."""
    data: Tensor = args["self"]
    if args["memory_format"] not in (0, torch.contiguous_format):  # the schema's default is 0
        return None
    return data if data.is_contiguous() else contiguous(data, data.shape)


def copy_in_place(args: Arguments) -> Tensor | None:
    """Return the first argument, if the second fits."""
    data: Tensor = args["self"]
    return data if data.is_meta and broadcast_shape(args["src"].shape, data.shape) == data.shape else None


def lookup(args: Arguments) -> Tensor | None:
    """Return the rows of a table that one tensor of indices selects."""
    table, (index, *more) = args["self"], args["indices"]
    if more or index is None or index.dtype != torch.int64 or not table.is_contiguous():
        return None
    return contiguous(table, (*index.shape, *table.shape[1:]))
