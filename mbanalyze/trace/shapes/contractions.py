"""Output shapes of convolutions, matrix products, attention and recurrent layers."""

from __future__ import annotations

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments, per_dimension
from mbanalyze.trace.shapes.layout import contiguous, same_float_dtype, window_count


def recurrent(args: Arguments) -> tuple[Tensor, ...]:
    """Return the outputs of every step, and the last states."""
    data = args["input"] if "input" in args else args["data"]
    states = args["hx"] if isinstance(args["hx"], list | tuple) else [args["hx"]]
    width = states[0].shape[-1] * (2 if args["bidirectional"] else 1)
    last = (contiguous(data, state.shape) for state in states)
    if not args.get("batch_first") or data.dim() < 3:
        return (contiguous(data, (*data.shape[:-1], width)), *last)
    batch, steps, _ = data.shape
    return (contiguous(data, (steps, batch, width)).transpose(0, 1), *last)  # computed step by step


def conv(args: Arguments) -> Tensor | None:
    """Return the output of a batched convolution with explicit padding."""
    image, weight, bias, padding = args["input"], args["weight"], args["bias"], args["padding"]
    if isinstance(padding, str) or image.dim() != weight.dim() or not same_float_dtype(image, weight, bias):
        return None
    batch, channels, *sizes = image.shape
    filters, depth, *kernel = weight.shape
    if channels != depth * args["groups"] or filters % args["groups"]:
        return None
    if bias is not None and bias.shape != (filters,):
        return None
    settings = [per_dimension(of, len(kernel)) for of in (args["stride"], padding, args["dilation"])]
    counts = [window_count(*of) for of in zip(sizes, kernel, *settings, strict=True)]
    return contiguous(image, (batch, filters, *counts)) if min(counts, default=0) > 0 else None


def linear(args: Arguments) -> Tensor | None:
    """Return the output of a linear layer."""
    data, weight, bias = args["input"], args["weight"], args["bias"]
    if weight.dim() != 2 or not same_float_dtype(data, weight, bias) or data.shape[-1:] != weight.shape[1:]:
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    return contiguous(data, (*data.shape[:-1], weight.shape[0]))


def matmul(args: Arguments) -> Tensor | None:
    """Return the product of two batches of matrices of equal length."""
    left, right = args["self"], args["other"]
    if left.dim() < 3 or left.shape[:-2] != right.shape[:-2] or left.shape[-1] != right.shape[-2]:
        return None
    return contiguous(left, (*left.shape[:-1], right.shape[-1])) if same_float_dtype(left, right) else None


def attention(args: Arguments) -> Tensor | None:
    """Return the output of attention with equal heads, without mask or dropout."""
    query, key, value = (args[name] for name in ("query", "key", "value"))
    if args["dropout_p"] or args["enable_gqa"] or args["attn_mask"] is not None:
        return None
    if query.dim() != 4 or len({tuple(tensor.shape[:-2]) for tensor in (query, key, value)}) > 1:
        return None
    if query.shape[-1] != key.shape[-1] or key.shape[-2:-1] != value.shape[-2:-1]:
        return None
    fits = same_float_dtype(query, key, value)
    return contiguous(query, (*query.shape[:-1], value.shape[-1])) if fits else None


def grouped_matmul(args: Arguments) -> Tensor | None:
    """Return the product of groups of rows or columns; PyTorch has a rule for bfloat16 only."""
    left, right, offsets = args["self"], args["mat2"], args["offs"]
    if left.dtype is torch.bfloat16 or left.shape[-1] != right.shape[-2] or left.dtype != right.dtype:
        return None
    if (left.dim() == right.dim() == 3) != (offsets is None) or not {left.dim(), right.dim()} <= {2, 3}:
        return None
    batch = [left.shape[0] if offsets is None else offsets.shape[0]] if left.dim() == right.dim() else []
    return contiguous(left, (*batch, left.shape[-2], right.shape[-1]), args["out_dtype"])
