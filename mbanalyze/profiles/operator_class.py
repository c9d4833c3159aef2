"""The class of an operator: operators that run one kernel, whose time depends on their sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mbanalyze.ops.record import Op

_PIXELS = (1, 64, 256)
"""Upper limits of the pixels of an output, by which pointwise convolutions are classified."""

_WIDTHS = (1, 2, 4, 8, 16, 32)
"""Upper limits of the channels of a group, by which grouped convolutions are classified."""


def class_of(op: Op) -> str:
    """Return the class of an operator: 'conv depthwise 3x3 stride 2', 'relu'."""
    if op.kind == "conv":
        return " ".join((general_class_of(op), *_settings(op)))
    one_row = op.kind == "linear" and prod(op.output[0].shape[:-1]) == 1
    return f"{op.kind} of one row" if one_row else op.kind


def general_class_of(op: Op) -> str:
    """Return the class without kernel, stride and width: 'conv depthwise'; it is used if `class_of` is unmeasured."""
    return f"{op.kind} {op.variant or ''}".strip()


def _settings(op: Op) -> list[str]:
    """The kernel and stride of a convolution, and what else decides about the speed of its variant."""
    weight = op.operands[1].shape
    kernel, stride = weight[2:], _stride(op)
    parts = [] if op.variant == "pointwise" else ["x".join(map(str, kernel))]
    if stride > 1:
        parts.append(f"stride {stride}")
    if op.attribute("transposed"):
        parts.append("transposed")
    if op.variant == "pointwise":
        parts += _up_to(_PIXELS, prod(op.output[0].shape[-len(kernel) :]), "pixel")
    if op.variant == "standard" and weight[1] <= 4:
        parts.append("of an image")
    if op.variant == "grouped" and prod(kernel) > 1:
        parts += _up_to(_WIDTHS, weight[0] // op.groups, "channel", " a group")
    return parts


def _up_to(limits: Sequence[int], size: int, unit: str, each: str = "") -> list[str]:
    """The range of a size in words; nothing above the last limit."""
    limit = next((limit for limit in limits if size <= limit), None)
    if limit is None:
        return []
    return [f"up to {limit} {unit}s{each}" if limit > 1 else f"of 1 {unit}{each}"]


def _stride(op: Op) -> int:
    """The largest stride of a convolution."""
    stride = op.attribute("stride")
    return max(stride) if isinstance(stride, tuple) else int(stride or 1)
