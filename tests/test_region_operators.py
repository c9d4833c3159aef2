"""Operators of torchvision, by their arguments: its compiled part may not be there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.trace.matching.kinds import MATCHERS


def counted(name: str, out: tuple[int, ...], **arguments: Any) -> tuple[int | None, int | None] | None:
    """Return the macs and flops of a call with an output of a shape, or None if it has no formula."""
    match = MATCHERS[name](arguments)
    if match is None:
        return None
    values = tuple(Value("activation", i, tuple(each.shape)) for i, each in enumerate(match.operands))
    settings = tuple(sorted(match.attributes.items()))
    total = cost(Op("", match.kind, values, (Value("activation", 99, out),), 0, settings))
    return total.macs, total.flops


def zeros(*shape: int) -> Tensor:
    """Return a tensor without data."""
    return torch.zeros(shape, device="meta")


@pytest.mark.parametrize(("use_mask", "each"), [(False, 7), (True, 8)])
def test_a_deformable_convolution_samples_and_multiplies(use_mask: bool, each: int) -> None:
    """6 x 6 places take 9 samples of 4 channels of 7 flops, then 2 filters of 36 products and a bias."""
    macs, flops = counted(
        "torchvision::deform_conv2d",
        (1, 2, 6, 6),
        input=zeros(1, 4, 6, 6),
        weight=zeros(2, 4, 3, 3),
        offset=zeros(1, 18, 6, 6),
        mask=zeros(1, 9, 6, 6),
        bias=zeros(2),
        use_mask=use_mask,
    ) or (0, 0)

    assert macs == 36 * 2 * 36
    assert flops == 2 * 36 * 2 * 36 + 36 * 9 * 4 * each + 72


@pytest.mark.parametrize("name", ["torchvision::roi_align", "torchvision::ps_roi_align"])
def test_aligned_regions_sample_four_neighbours(name: str) -> None:
    """5 regions of 3 x 7 x 7 bins, each the mean of 2 x 2 samples: 16 neighbours."""
    arguments = {"input": zeros(1, 3, 16, 16), "rois": zeros(5, 5)}

    assert counted(name, (5, 3, 7, 7), **arguments, sampling_ratio=2) == (0, 5 * 3 * 49 * 31)
    # the number of samples follows from the size of the region
    assert counted(name, (5, 3, 7, 7), **arguments, sampling_ratio=-1) is None
