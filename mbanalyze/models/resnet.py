"""ResNet as a module: He et al., 2015, arXiv:1512.03385. Its parameters are named as torchvision's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from mbanalyze.archs.resnet import EXPANSION, REPEATS_18, REPEATS_50, STAGES, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise


def conv(inp: int, oup: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the image's size at stride 1."""
    return nn.Conv2d(inp, oup, kernel, stride, kernel // 2, bias=False)


def shortcut(inp: int, oup: int, stride: int) -> nn.Module | None:
    """What brings a block's input to its output's shape, if they differ."""
    return None if (inp, stride) == (oup, 1) else ConvUnit(inp, oup, 1, None, stride=stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the stride is in the first."""

    def __init__(self, inp: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(inp, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(inp, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, channels, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1, the last four times as wide; `stride_on` says which of the first two shrinks."""

    def __init__(self, inp: int, channels: int, stride: int, stride_on: Literal["3x3", "1x1"]) -> None:
        super().__init__()
        first = stride if stride_on == "1x1" else 1
        oup = EXPANSION * channels
        self.conv1 = conv(inp, channels, 1, first)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, stride // first)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = conv(channels, oup, 1)
        self.bn3 = nn.BatchNorm2d(oup)
        self.relu = ReLU()
        self.downsample = shortcut(inp, oup, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, 4 channels, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """The paper's Table 1, for images `[n, 3, h, w]` -> logits `[n, num_classes]`.

    Args:
        block: makes a block from its input's channels, its own, and its stride.
        expansion: outputs of a block for each of its channels.
        repeats: blocks in each stage.
        num_classes: outputs of the classifier.
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self,
        block: Callable[[int, int, int], nn.Module],
        expansion: int,
        repeats: tuple[int, ...],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.relu = ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width = STEM
        for number, (channels, times) in enumerate(zip(STAGES, repeats, strict=True), 1):
            blocks = []
            for i in range(times):
                blocks.append(block(width, channels, 2 if number > 1 and i == 0 else 1))
                width = expansion * channels
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return]


class ResNet18(ResNet):
    """Basic blocks."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__(BasicBlock, 1, REPEATS_18, num_classes)


class ResNet50(ResNet):
    """Bottlenecks, whose stride the paper has on the first 1x1 convolution and torchvision on the 3x3 one."""

    def __init__(self, num_classes: int = 1000, stride_on: Literal["3x3", "1x1"] = "3x3") -> None:
        def bottleneck(inp: int, channels: int, stride: int) -> nn.Module:
            return Bottleneck(inp, channels, stride, stride_on)

        super().__init__(bottleneck, EXPANSION, REPEATS_50, num_classes)
