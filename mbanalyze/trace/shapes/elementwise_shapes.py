"""Output shapes of activations, arithmetic and normalisations."""

from __future__ import annotations

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.shapes.layout import broadcast_shape, contiguous, dense_output, has_dim, same_float_dtype


def same_shape(args: Arguments) -> Tensor | None:
    """Return a tensor like the first argument, if that is contiguous."""
    data = args["self"] if "self" in args else args["input"]
    dtype = data.dtype
    if not dtype.is_floating_point or args.get("dtype") not in (None, dtype) or not data.is_contiguous():
        return None
    return contiguous(data, data.shape)


def unary(args: Arguments) -> Tensor | None:
    """Return the output of an activation: the same shape and order of dimensions."""
    data = args["self"]
    return dense_output(data) if data.is_floating_point() else None


def contiguous_unary(args: Arguments) -> Tensor | None:
    """Return the contiguous output of an activation."""
    data = args["self"]
    return contiguous(data, data.shape) if data.is_floating_point() else None


def unary_in_place(args: Arguments) -> Tensor | None:
    """Return the argument itself."""
    data: Tensor = args["self"]
    return data if data.is_meta and data.is_floating_point() else None


def binary(args: Arguments) -> Tensor | None:
    """Return the output of arithmetic on two tensors, or a tensor and a number."""
    left, right = args["self"], args["other"]
    if not isinstance(right, Tensor):
        return unary(args) if isinstance(right, int | float) else None
    dtype, shape = left.dtype, broadcast_shape(left.shape, right.shape)
    if right.dtype is not dtype or not dtype.is_floating_point or shape is None:
        return None
    if left.is_contiguous() and right.is_contiguous():
        return contiguous(left, shape)
    # the first operand decides the order of dimensions, except along those in which it is broadcast
    if left.shape == shape:
        return dense_output(left)
    return dense_output(right) if right.shape == shape and sum([n != 1 for n in left.shape]) < 2 else None


def binary_in_place(args: Arguments) -> Tensor | None:
    """Return the first argument, if the second fits."""
    left, right = args["self"], args["other"]
    if isinstance(right, complex):
        return None
    if not isinstance(right, Tensor):
        return unary_in_place(args)
    fits = left.dtype == right.dtype and broadcast_shape(right.shape, left.shape) == left.shape
    return unary_in_place(args) if fits else None


def compare_number(args: Arguments) -> Tensor | None:
    """Return the truth values of a comparison with a number."""
    data = args["self"]
    if isinstance(args["other"], Tensor) or not data.is_contiguous():
        return None
    return contiguous(data, data.shape, torch.bool)


def masked_fill(args: Arguments) -> Tensor | None:
    """Return a tensor like the first argument, if the mask fits."""
    data = args["self"]
    fits = broadcast_shape(args["mask"].shape, data.shape) == data.shape
    return same_shape(args) if fits and isinstance(args["value"], int | float) else None


def softmax(args: Arguments) -> Tensor | None:
    """Return a tensor like the first argument, if that has the dimension."""
    return same_shape(args) if has_dim(args["self"], args["dim"]) else None


def dropout(args: Arguments) -> Tensor | None:
    """Return the argument itself, unless in training."""
    return None if args["train"] else args["input"]


def channel_norm(args: Arguments) -> Tensor | None:
    """Return a tensor like the first argument, if its channels fit the weights, statistics and groups."""
    channels = args["input"].shape[1:2]
    given = [args.get(name) for name in ("weight", "bias", "running_mean", "running_var")]
    if [t for t in given if t is not None and t.shape != channels]:
        return None
    return same_shape(args) if channels and channels[0] % args.get("num_groups", 1) == 0 else None


def layer_norm(args: Arguments) -> Tensor | None:
    """Return the output of a normalisation over the last dimensions."""
    data, shape = args["input"], tuple(args["normalized_shape"])
    affine = [args[name] for name in ("weight", "bias") if args.get(name) is not None]
    fits = all(tuple(size) == shape for size in (data.shape[-len(shape) :], *[t.shape for t in affine]))
    return contiguous(data, data.shape) if fits and same_float_dtype(data, *affine) else None
