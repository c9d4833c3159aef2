"""What operators return on tensors without data, where torch's own answer is slow or where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mbanalyze.operators import Arguments


def _blank(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or like.dtype, device="meta")


def _recurrent(call: Arguments) -> tuple[Tensor, ...]:
    """The outputs of every step, and the last state or states."""
    data = call["input"] if "input" in call else call["data"]
    states = call["hx"] if isinstance(call["hx"], list | tuple) else [call["hx"]]
    width = states[0].shape[-1] * (2 if call["bidirectional"] else 1)
    last = (_blank(data, *state.shape) for state in states)
    return (_blank(data, *data.shape[:-1], width), *last)


def _like(call: Arguments) -> Tensor | None:
    """A tensor like the first; None unless that is sure to be torch's answer."""
    given = call["self"] if "self" in call else call["input"]
    plain = given.is_floating_point() and given.is_contiguous()
    return torch.empty_like(given) if plain and call.get("dtype") in (None, given.dtype) else None


def _channels(call: Arguments) -> Tensor | None:
    """The same, where what goes with each channel fits them; torch is left to complain where it does not."""
    given = call["input"]
    names = ("weight", "bias", "running_mean", "running_var")
    sizes = [call[name].numel() for name in names if call.get(name) is not None]
    fits = given.dim() > 1 and all(size == given.shape[1] for size in sizes)
    return _like(call) if fits and given.shape[1] % call.get("num_groups", 1) == 0 else None


def _last(call: Arguments) -> Tensor | None:
    """The same for a normalisation over the last dimensions."""
    given, shape = call["input"], tuple(call["normalized_shape"])
    affine = [tuple(call[name].shape) for name in ("weight", "bias") if call.get(name) is not None]
    fits = all(size == shape for size in (tuple(given.shape[-len(shape) :]), *affine))
    return _like(call) if fits else None


def _in_place(call: Arguments) -> Tensor:
    given: Tensor = call["self"]
    return given


def _of_two(call: Arguments) -> Tensor | None:
    """A tensor like both operands, or like the first where the second is a number; None where they differ."""
    left, right = call["self"], call["other"]
    if isinstance(right, complex):
        return None
    if isinstance(right, Tensor) and (right.shape != left.shape or right.dtype != left.dtype):
        return None
    return _like(call) if not isinstance(right, Tensor) or right.is_contiguous() else None


_UNARY = (
    *("relu", "relu6", "hardtanh", "hardswish", "hardsigmoid", "silu", "gelu", "sigmoid", "tanh"),
    "leaky_relu",
)
_SAME = (*_UNARY, "softmax", "log_softmax")

INSTEAD: dict[str, Callable[[Arguments], Any]] = {
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
    **dict.fromkeys(_SAME, _like),
    "batch_norm": _channels,
    "group_norm": _channels,
    "layer_norm": _last,
    **{f"{name}_": _in_place for name in _UNARY},
    **dict.fromkeys(("add", "sub", "mul", "div"), _of_two),
}
"""ATen name -> its outputs, or None, in place of torch's own, which would go through every step in Python."""


def _nonzero(call: Arguments) -> Tensor:
    given = call["self"]
    return _blank(given, given.numel(), given.dim(), dtype=torch.int64)


def _where(call: Arguments) -> list[Tensor] | None:
    """Of one operand, the places where it is true; None where it chooses between two others."""
    given = call["condition"]
    if "self" in call or "other" in call:
        return None
    return [_blank(given, given.numel(), dtype=torch.int64) for _ in range(given.dim())]


def _nms(call: Arguments) -> Tensor:
    boxes = call.get("dets", call.get("boxes", call.get("a")))
    return _blank(boxes, boxes.shape[0], dtype=torch.int64)


def _masked_select(call: Arguments) -> Tensor:
    given = call["self"]
    return _blank(given, given.numel())


def _masked(call: Arguments) -> Tensor | None:
    """Selection by one mask: as many elements as it has; None where there is no mask, or more beside it."""
    given, indices = call["self"], call["indices"]
    masks = [i for i, index in enumerate(indices) if index is not None]
    if len(masks) != 1 or indices[masks[0]].dtype != torch.bool:
        return None
    (at,) = masks
    mask = indices[at]
    return _blank(given, *given.shape[:at], mask.numel(), *given.shape[at + mask.dim() :])


KEPT: dict[str, Callable[[Arguments], Any]] = {
    "nonzero": _nonzero,
    "where": _where,
    "masked_select": _masked_select,
    "index": _masked,
    "torchvision::nms": _nms,
}
"""Operators whose result depends on values -> their outputs if every candidate is kept, or None if it does not."""
