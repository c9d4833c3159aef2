"""Outputs of convolutions on meta tensors, the same for every release of PyTorch.

Before 2.12, PyTorch keeps the channels last if an argument has them last. Before 2.13, it accepts a window that is
larger than the image. A trace has the results of the newer releases.
"""

from __future__ import annotations

from typing import Any

from mbanalyze.trace.schema import Arguments
from mbanalyze.trace.shapes.layout import contiguous

CONVOLUTIONS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "convolution", "_convolution"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    }
)
"""The operators that PyTorch computes as convolutions; each has the arguments `input` and `weight`."""


def settled(name: str, args: Arguments, result: Any) -> Any:
    """Return the output of an operator on meta tensors, contiguous if it is a convolution.

    Raises:
        RuntimeError: a window of a convolution has no place on its image.
    """
    if name not in CONVOLUTIONS:
        return result
    image, weight = args["input"], args["weight"]
    if not result.numel() and image.numel() and weight.numel():
        sizes = f"{tuple(weight.shape[2:])} on {tuple(image.shape[2:])}"
        raise RuntimeError(f"the kernel is larger than the padded input: {sizes}")
    return result if result.is_contiguous() else contiguous(result, result.shape)
