"""ShuffleNet as a module: Zhang et al., 2017, arXiv:1707.01083."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mbanalyze.archs.shufflenet_v1 import CHANNELS, REPEATS, STEM_STEPS
from mbanalyze.models.blocks import ConvUnit, ReLU, channel_shuffle, initialise


class ShuffleUnit(nn.Module):
    """A unit of the paper's Figure 2: (b) adds its input; (c), at stride 2, concatenates its pooled input.

    Args:
        groups: groups of the second pointwise convolution.
        first_groups: groups of the first pointwise convolution.
    """

    def __init__(self, inp: int, oup: int, groups: int, first_groups: int, stride: int) -> None:
        super().__init__()
        hidden = oup // 4
        self.groups = groups
        self.compress = ConvUnit(inp, hidden, 1, ReLU, groups=first_groups)
        self.depthwise = ConvUnit(hidden, hidden, 3, None, stride=stride, groups=hidden)
        self.expand = ConvUnit(hidden, oup - inp if stride == 2 else oup, 1, None, groups=groups)
        self.shortcut = nn.AvgPool2d(3, 2, 1) if stride == 2 else None
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / stride, w / stride]`."""
        shuffled = channel_shuffle(self.compress(x), self.groups)
        out = self.expand(self.depthwise(shuffled))
        if self.shortcut is None:
            return self.relu(x + out)  # type: ignore[no-any-return]
        return self.relu(torch.cat([self.shortcut(x), out], 1))  # type: ignore[no-any-return]


class ShuffleNetV1(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        alpha: scale of the stages; it scales the first convolution in three steps.
        num_classes: outputs of the classifier.
        groups: groups of the pointwise convolutions.
        in_channels: channels of the images.
    """

    stage2: nn.Module
    stage3: nn.Module
    stage4: nn.Module

    def __init__(
        self, alpha: float = 1.0, num_classes: int = 1000, groups: int = 3, in_channels: int = 3
    ) -> None:
        super().__init__()
        stages = [int(CHANNELS[groups] * alpha) << stage for stage in range(len(REPEATS))]
        width = max(step for step in STEM_STEPS if step[0] <= alpha)[1]
        while (stages[0] - width) % groups:
            width += 1
        self.conv1 = ConvUnit(in_channels, width, 3, ReLU, stride=2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        first_groups = 1
        for number, (oup, repeats) in enumerate(zip(stages, REPEATS, strict=True), 2):
            units: list[nn.Module] = []
            for stride in [2] + [1] * (repeats - 1):
                units.append(ShuffleUnit(width, oup, groups, first_groups, stride))
                width, first_groups = oup, groups
            self.add_module(f"stage{number}", nn.Sequential(*units))
        self.fc = nn.Linear(width, num_classes, bias=False)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(x.mean([2, 3]))  # type: ignore[no-any-return]
