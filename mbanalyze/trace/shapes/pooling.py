"""Output shapes of pooling and means."""

from __future__ import annotations

import torch
from torch import Tensor

from mbanalyze.trace.schema import Arguments, per_dimension
from mbanalyze.trace.shapes.layout import contiguous, has_dim, window_count


def pool(args: Arguments) -> Tensor | None:
    """Return the output of max or average pooling on a batch of images."""
    image = args["self"]
    if image.dim() != 4 or not image.is_floating_point() or not image.is_contiguous():
        return None
    kernel = per_dimension(args["kernel_size"], 2)
    stride = per_dimension(args["stride"] or kernel, 2)
    padding, dilation = per_dimension(args["padding"], 2), per_dimension(args.get("dilation", [1]), 2)
    counts = []
    for n, k, s, p, d in zip(image.shape[2:], kernel, stride, padding, dilation, strict=True):
        count = window_count(n, k, s, p, d)
        if count < 1 or 2 * p > k:
            return None
        reach = (count - 1) * s + d * (k - 1) + 1
        if args["ceil_mode"] and reach < n + 2 * p and count * s < n + p:
            count += 1  # the last window may overhang the end, but must not start in its padding
        counts.append(count)
    return contiguous(image, (*image.shape[:2], *counts))


def adaptive_pool(args: Arguments) -> Tensor | None:
    """Return the output of adaptive average pooling on a batch of images."""
    image, size = args["self"], list(args["output_size"])
    if len(size) != 2 or image.dim() != 4 or not min(image.shape) or not image.is_floating_point():
        return None
    channels_last = image.is_contiguous(memory_format=torch.channels_last)
    if size != [1, 1] and (channels_last or not image.is_contiguous()):
        return None
    return contiguous(image, (*image.shape[:2], *size))


def mean(args: Arguments) -> Tensor | None:
    """Return the mean over some dimensions of a contiguous tensor."""
    data, dims = args["self"], args.get("dim")
    if not dims or not data.dim() or args["dtype"] is not None:
        return None
    if not data.is_floating_point() or not data.is_contiguous():
        return None
    reduced = {d % data.dim() for d in dims}
    if len(reduced) < len(dims) or not all(has_dim(data, d) for d in dims):
        return None
    if args["keepdim"]:
        return contiguous(data, [1 if d in reduced else n for d, n in enumerate(data.shape)])
    return contiguous(data, [n for d, n in enumerate(data.shape) if d not in reduced])
