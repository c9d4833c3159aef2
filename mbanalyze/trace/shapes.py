"""What operators return on tensors without data, where torch's own answer is slow or where it has none.

A rule answers the common case, of contiguous tensors of one dtype whose sizes fit, and None in any other:
then torch answers, or complains. Shapes, strides and dtypes are those of torch's kernels for the meta device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor

from mbanalyze.inputs.typed import Shape
from mbanalyze.trace.schema import Arguments

_META = torch.device("meta")

Answer = Callable[[Arguments], Any]
"""What a call returns; None where torch has to say."""


def _blank(like: Tensor, shape: Iterable[int], dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of `shape`, contiguous."""
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=_META)


def _copy(given: Tensor) -> Tensor:
    return torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=_META)


def _alike(*given: Tensor | None) -> bool:
    """Whether all are floating and of one dtype; what is None does not matter."""
    dtypes = {t.dtype for t in given if t is not None}
    return len(dtypes) == 1 and dtypes.pop().is_floating_point


def _recurrent(call: Arguments) -> tuple[Tensor, ...]:
    """The outputs of every step, and the last state or states."""
    data = call["input"] if "input" in call else call["data"]
    states = call["hx"] if isinstance(call["hx"], list | tuple) else [call["hx"]]
    width = states[0].shape[-1] * (2 if call["bidirectional"] else 1)
    last = (_blank(data, state.shape) for state in states)
    return (_blank(data, (*data.shape[:-1], width)), *last)


def _each(sizes: list[int], dims: int) -> list[int]:
    return sizes * dims if len(sizes) == 1 else sizes


def places(n: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How often a window fits in `n` padded elements; below 1 where it does not."""
    return (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _conv(call: Arguments) -> Tensor | None:
    image, weight, bias, pads = call["input"], call["weight"], call["bias"], call["padding"]
    batch, channels, *sizes = image.shape
    filters, depth, *kernel = weight.shape
    groups, dims, dtype = call["groups"], len(kernel), image.dtype
    if (
        isinstance(pads, str)
        or len(sizes) != dims
        or weight.dtype is not dtype
        or not dtype.is_floating_point
    ):
        return None
    if bias is not None and (bias.shape != (filters,) or bias.dtype is not dtype):
        return None
    if channels != depth * groups or filters % groups:
        return None
    out = [batch, filters]
    steps, pads, holes = _each(call["stride"], dims), _each(pads, dims), _each(call["dilation"], dims)
    out += [places(*of) for of in zip(sizes, kernel, steps, pads, holes, strict=True)]
    return _blank(image, out) if min(out[2:]) > 0 else None


def _linear(call: Arguments) -> Tensor | None:
    given, weight, bias = call["input"], call["weight"], call["bias"]
    if weight.dim() != 2 or not _alike(given, weight, bias) or given.shape[-1:] != weight.shape[1:]:
        return None
    if bias is not None and bias.shape != weight.shape[:1]:
        return None
    return _blank(given, (*given.shape[:-1], weight.shape[0]))


def _matmul(call: Arguments) -> Tensor | None:
    left, right = call["self"], call["other"]
    if left.dim() < 3 or left.shape[:-2] != right.shape[:-2] or left.dtype != right.dtype:
        return None
    if left.shape[-1] != right.shape[-2] or not left.is_floating_point():
        return None
    return _blank(left, (*left.shape[:-1], right.shape[-1]))


def _attention(call: Arguments) -> Tensor | None:
    query, key, value, mask = (call[name] for name in ("query", "key", "value", "attn_mask"))
    plain = not call["dropout_p"] and not call["enable_gqa"] and mask is None
    heads = {tuple(t.shape[:-2]) for t in (query, key, value)}
    widths = query.shape[-1] == key.shape[-1] and key.shape[-2:-1] == value.shape[-2:-1]
    if (
        not plain
        or len(heads) != 1
        or query.dim() != 4
        or not widths
        or len({query.dtype, key.dtype, value.dtype}) > 1
    ):
        return None
    return _blank(query, (*query.shape[:-1], value.shape[-1])) if query.is_floating_point() else None


def _max_pool(call: Arguments) -> Tensor | None:
    return _pooled(call, call["dilation"])


def _avg_pool(call: Arguments) -> Tensor | None:
    return _pooled(call, [1])


def _pooled(call: Arguments, dilation: list[int]) -> Tensor | None:
    image = call["self"]
    if image.dim() != 4 or not image.is_floating_point() or not image.is_contiguous():
        return None
    kernel, pads, holes = _each(call["kernel_size"], 2), _each(call["padding"], 2), _each(dilation, 2)
    steps = _each(call["stride"] or kernel, 2)
    out = []
    for n, k, s, p, d in zip(image.shape[2:], kernel, steps, pads, holes, strict=True):
        fit = places(n, k, s, p, d)
        if fit < 1 or 2 * p > k:
            return None
        reach = (fit - 1) * s + d * (k - 1) + 1
        if call["ceil_mode"] and reach < n + 2 * p and fit * s < n + p:
            fit += 1  # a window may hang over the end unless it starts in the padding there
        out.append(fit)
    return _blank(image, (*image.shape[:2], *out))


def _adaptive(call: Arguments) -> Tensor | None:
    image, size = call["self"], list(call["output_size"])
    laid_out = size == [1, 1] or (
        image.is_contiguous() and not image.is_contiguous(memory_format=torch.channels_last)
    )
    fits = len(size) == 2 and image.dim() == 4 and min(image.shape) > 0 and laid_out
    if not image.is_floating_point():
        return None
    return _blank(image, (*image.shape[:2], *size)) if fits else None


def _is_dim(d: int, of: Tensor) -> bool:
    return -of.dim() <= d < of.dim()


def _mean(call: Arguments) -> Tensor | None:
    given, dims = call["self"], call.get("dim")
    if not dims or not given.dim() or call["dtype"] is not None:
        return None
    if not given.is_floating_point() or not given.is_contiguous():
        return None
    gone = {d % given.dim() for d in dims}
    if len(gone) < len(dims) or not all(_is_dim(d, given) for d in dims):
        return None
    if call["keepdim"]:
        return _blank(given, [1 if d in gone else n for d, n in enumerate(given.shape)])
    return _blank(given, [n for d, n in enumerate(given.shape) if d not in gone])


def _cat(call: Arguments) -> Tensor | None:
    parts, dim = call["tensors"], call["dim"]
    if not parts or not _alike(*parts):
        return None
    if parts[0].dim() in (4, 5) and not all(part.is_contiguous() for part in parts):
        return None  # images may be laid out channels last
    first = list(parts[0].shape)
    if not 0 <= dim < len(first) or any(len(part.shape) != len(first) or not part.numel() for part in parts):
        return None
    rest = {(*part.shape[:dim], *part.shape[dim + 1 :]) for part in parts}
    first[dim] = sum([part.shape[dim] for part in parts])
    return _blank(parts[0], first) if len(rest) == 1 else None


def _like(call: Arguments) -> Tensor | None:
    """A tensor like the first."""
    given = call["self"] if "self" in call else call["input"]
    dtype = given.dtype
    if (
        not dtype.is_floating_point
        or call.get("dtype", dtype) not in (None, dtype)
        or not given.is_contiguous()
    ):
        return None
    return torch.empty(given.shape, dtype=dtype, device=_META)


def _layout(call: Arguments) -> Tensor | None:
    """A tensor with the sizes of the first, its dimensions in the same order in memory, and no gaps."""
    given = call["self"]
    return _ordered(given) if given.is_floating_point() else None


def _ordered(given: Tensor) -> Tensor | None:
    if given.is_contiguous():
        return _copy(given)
    strides = given.stride()
    order = [d for d, n in enumerate(given.shape) if n != 1]
    if len({strides[d] for d in order}) < len(order) or not all(strides[d] for d in order):
        return None  # repeated, or in windows that overlap
    dense, step = [1] * len(strides), 1
    for d in sorted(order, key=strides.__getitem__):
        dense[d] = step
        step *= given.shape[d]
    return torch.empty_strided(given.shape, dense, dtype=given.dtype, device=_META)


def _channels(call: Arguments) -> Tensor | None:
    """A tensor like the first, where what goes with each channel fits them."""
    given = call["input"]
    channels = given.shape[1:2]
    for name in ("weight", "bias", "running_mean", "running_var"):
        one_each = call.get(name)
        if one_each is not None and one_each.shape != channels:
            return None
    if not channels or channels[0] % call.get("num_groups", 1):
        return None
    dtype = given.dtype
    if not dtype.is_floating_point or not given.is_contiguous():
        return None
    return torch.empty(given.shape, dtype=dtype, device=_META)


def _last(call: Arguments) -> Tensor | None:
    """A tensor with the sizes of the first, for a normalisation over the last dimensions."""
    given, shape = call["input"], tuple(call["normalized_shape"])
    affine = [call[name] for name in ("weight", "bias") if call.get(name) is not None]
    fits = all(tuple(size) == shape for size in (given.shape[-len(shape) :], *[t.shape for t in affine]))
    dtypes = {given.dtype, *[t.dtype for t in affine]}
    return _blank(given, given.shape) if fits and given.is_floating_point() and len(dtypes) == 1 else None


def _in_place(call: Arguments) -> Tensor | None:
    given: Tensor = call["self"]
    return given if given.is_meta and given.is_floating_point() else None


def _copied(call: Arguments) -> Tensor | None:
    """The first, where the second fits it."""
    given: Tensor = call["self"]
    return given if given.is_meta and _broadcast(call["src"].shape, given.shape) == given.shape else None


def _in_place_of_two(call: Arguments) -> Tensor | None:
    left: Tensor = call["self"]
    right = call["other"]
    if not left.is_meta or not left.is_floating_point() or isinstance(right, complex):
        return None
    if isinstance(right, Tensor) and (
        left.dtype != right.dtype or _broadcast(right.shape, left.shape) != left.shape
    ):
        return None
    return left


def _broadcast(a: Shape, b: Shape) -> Shape | None:
    """The sizes of an element-wise result; None where the operands do not go together."""
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


def _of_two(call: Arguments) -> Tensor | None:
    """The result of an element-wise operator, the second operand of which may be a number."""
    left, right = call["self"], call["other"]
    if not isinstance(right, Tensor):
        return _layout(call) if isinstance(right, int | float) else None
    dtype, shape = left.dtype, _broadcast(left.shape, right.shape)
    if right.dtype is not dtype or not dtype.is_floating_point or shape is None:
        return None
    if left.is_contiguous() and right.is_contiguous():
        return torch.empty(shape, dtype=dtype, device=_META)
    # the first operand decides how the result is laid out, but for dimensions along which it is repeated
    if left.shape == shape:
        return _ordered(left)
    return _ordered(right) if right.shape == shape and sum([n != 1 for n in left.shape]) < 2 else None


def _compared(call: Arguments) -> Tensor | None:
    given, other = call["self"], call["other"]
    if isinstance(other, Tensor) or not given.is_contiguous():
        return None
    return _blank(given, given.shape, torch.bool)


def _filled(call: Arguments) -> Tensor | None:
    """A tensor like the first, where the mask fits it."""
    given = call["self"]
    fits = given.is_contiguous() and _broadcast(call["mask"].shape, given.shape) == given.shape
    return _like(call) if fits and isinstance(call["value"], int | float) else None


def _indexed(call: Arguments) -> Tensor | None:
    """Rows of a table."""
    table, (index, *more) = call["self"], call["indices"]
    if more or index is None or index.dtype != torch.int64 or not table.is_contiguous():
        return None
    return _blank(table, (*index.shape, *table.shape[1:]))


def _reshaped(call: Arguments) -> Tensor | None:
    """A copy, where no view has these sizes."""
    given, sizes = call["self"], list(call["shape"])
    elements = given.numel()
    known = prod([n for n in sizes if n != -1])
    if (
        given.is_contiguous()
        or not elements
        or not known
        or elements % known
        or sizes.count(-1) > 1
        or min(sizes) < -1
    ):
        return None
    sizes = [elements // known if n == -1 else n for n in sizes]
    if prod(sizes) != elements or _is_view(given, sizes):
        return None
    return _blank(given, sizes)


def _is_view(given: Tensor, sizes: list[int]) -> bool:
    """Whether a view of `given` has these sizes: each run of dimensions that lie packed is cut up by itself."""
    runs: list[int] = []
    step = None
    for n, stride in zip(reversed(given.shape), reversed(given.stride()), strict=True):
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


def _softmax(call: Arguments) -> Tensor | None:
    return _like(call) if _is_dim(call["dim"], call["self"]) else None


def _roll(call: Arguments) -> Tensor | None:
    dims, given = call["dims"], call["self"]
    fits = len(dims) == len(call["shifts"]) and all(_is_dim(d, given) for d in dims)
    return _like(call) if dims and fits else None


def _contiguous(call: Arguments) -> Tensor | None:
    given: Tensor = call["self"]
    if call["memory_format"] not in (0, torch.contiguous_format):  # 0 where the caller leaves it out
        return None
    return given if given.is_contiguous() else _blank(given, given.shape)


def _dropout(call: Arguments) -> Tensor | None:
    given: Tensor = call["input"]
    return None if call["train"] else given


_UNARY = (
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "sigmoid", "tanh"),
    "leaky_relu",
)
_BINARY = ("add", "sub", "mul", "div")

INSTEAD: dict[str, Answer] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
    **{f"conv{d}d": _conv for d in (1, 2, 3)},
    "linear": _linear,
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "cat": _cat,
    "roll": _roll,
    "contiguous": _contiguous,
    "reshape": _reshaped,
    "index": _indexed,
    "masked_fill": _filled,
    "copy_": _copied,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), _compared),
    "dropout": _dropout,
    **dict.fromkeys(_UNARY, _layout),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax),
    "batch_norm": _channels,
    "group_norm": _channels,
    "layer_norm": _last,
    **{f"{name}_": _in_place for name in _UNARY},
    **dict.fromkeys(_BINARY, _of_two),
    **{f"{name}_": _in_place_of_two for name in _BINARY},
}
"""ATen name -> its outputs, or None, in place of torch's own, which would go through every step in Python."""


def _nonzero(call: Arguments) -> Tensor:
    given = call["self"]
    return _blank(given, (given.numel(), given.dim()), torch.int64)


def _where(call: Arguments) -> list[Tensor] | None:
    """Of one operand, the places where it is true; None where it chooses between two others."""
    given = call["condition"]
    if "self" in call or "other" in call:
        return None
    return [_blank(given, (given.numel(),), torch.int64) for _ in range(given.dim())]


def _nms(call: Arguments) -> Tensor:
    boxes = call.get("dets", call.get("boxes", call.get("a")))
    return _blank(boxes, boxes.shape[:1], torch.int64)


def _masked_select(call: Arguments) -> Tensor:
    given = call["self"]
    return _blank(given, (given.numel(),))


def _masked(call: Arguments) -> Tensor | None:
    """Selection by one mask: as many elements as it has; None where there is no mask, or more beside it."""
    given, indices = call["self"], call["indices"]
    masks = [i for i, index in enumerate(indices) if index is not None]
    if len(masks) != 1 or indices[masks[0]].dtype != torch.bool:
        return None
    (at,) = masks
    mask = indices[at]
    return _blank(given, (*given.shape[:at], mask.numel(), *given.shape[at + mask.dim() :]))


KEPT: dict[str, Answer] = {
    "nonzero": _nonzero,
    "where": _where,
    "masked_select": _masked_select,
    "index": _masked,
    "torchvision::nms": _nms,
}
"""Operators whose result depends on values -> their outputs if every candidate is kept, or None if it does not."""
