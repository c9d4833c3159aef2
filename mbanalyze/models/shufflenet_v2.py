"""ShuffleNet V2 as a module: Ma et al., 2018, arXiv:1807.11164. Parameters have torchvision's names."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mbanalyze.archs.shufflenet_v2 import CHANNELS, REPEATS, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, channel_shuffle, initialise


def branch(inp: int, hidden: int, oup: int, stride: int) -> nn.Sequential:
    """Return a branch of a unit: pointwise, depthwise and pointwise convolutions."""
    return nn.Sequential(
        *ConvUnit(inp, hidden, 1, ReLU),
        *ConvUnit(hidden, hidden, 3, None, stride=stride, groups=hidden),
        *ConvUnit(hidden, oup, 1, ReLU),
    )


class BasicUnit(nn.Module):
    """A unit that leaves half of the channels unchanged: the paper's Figure 3 (c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch2 = branch(half, half, half, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` to a tensor of the same shape."""
        unchanged, half = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([unchanged, self.branch2(half)], 1), 2)


class DownsamplingUnit(nn.Module):
    """A unit at stride 2, in which both branches read the whole input: the paper's Figure 3 (d).

    Args:
        kept: output channels of the shortcut.
    """

    def __init__(self, inp: int, oup: int, kept: int) -> None:
        super().__init__()
        filtered = ConvUnit(inp, inp, 3, None, stride=2, groups=inp)
        self.branch1 = nn.Sequential(*filtered, *ConvUnit(inp, kept, 1, ReLU))
        self.branch2 = branch(inp, oup // 2, oup - kept, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / 2, w / 2]`."""
        return channel_shuffle(torch.cat([self.branch1(x), self.branch2(x)], 1), 2)


class ShuffleNetV2(nn.Module):
    """The paper's Table 5: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        alpha: scale, one of those in the table.
        num_classes: outputs of the classifier.
        layout: first unit of a stage. In `torchvision` its shortcut gives half of the output channels.
            In `paper` it keeps the number of channels, and the classifier has no bias.
        in_channels: channels of the images.
    """

    stage2: nn.Module
    stage3: nn.Module
    stage4: nn.Module

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        layout: Literal["torchvision", "paper"] = "torchvision",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        paper = layout == "paper"
        *stages, head = CHANNELS[alpha]
        self.conv1 = ConvUnit(in_channels, STEM, 3, ReLU, stride=2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width = STEM
        for number, (oup, repeats) in enumerate(zip(stages, REPEATS, strict=True), 2):
            first = DownsamplingUnit(width, oup, width if paper else oup // 2)
            rest = [BasicUnit(oup) for _ in range(repeats - 1)]
            self.add_module(f"stage{number}", nn.Sequential(first, *rest))
            width = oup
        self.conv5 = ConvUnit(width, head, 1, ReLU)
        self.fc = nn.Linear(head, num_classes, bias=not paper)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))  # type: ignore[no-any-return]
