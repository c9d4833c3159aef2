"""ResNet as a module: He et al., 2015, arXiv:1512.03385. Parameters have torchvision's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from mbanalyze.archs.resnet import EXPANSION, REPEATS_18, REPEATS_50, STAGES, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise


def padded_conv(inp: int, oup: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias whose padding keeps the image size at stride 1."""
    return nn.Conv2d(inp, oup, kernel, stride, kernel // 2, bias=False)


def shortcut(inp: int, oup: int, stride: int) -> nn.Module | None:
    """Return the projection of a block's input to its output shape, or None if the shapes agree."""
    return None if (inp, stride) == (oup, 1) else ConvUnit(inp, oup, 1, None, stride=stride)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the first convolution has the stride."""

    def __init__(self, inp: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = padded_conv(inp, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = padded_conv(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(inp, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, channels, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a wide 1x1 convolution, and a shortcut; `stride_on` selects the one with the stride."""

    def __init__(self, inp: int, channels: int, stride: int, stride_on: Literal["3x3", "1x1"]) -> None:
        super().__init__()
        first = stride if stride_on == "1x1" else 1
        oup = EXPANSION * channels
        self.conv1 = padded_conv(inp, channels, 1, first)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = padded_conv(channels, channels, 3, stride // first)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = padded_conv(channels, oup, 1)
        self.bn3 = nn.BatchNorm2d(oup)
        self.relu = ReLU()
        self.downsample = shortcut(inp, oup, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, 4 channels, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        block: factory of a block from its input channels, its channels and its stride.
        expansion: output channels of a block per channel.
        repeats: number of blocks in each stage.
        num_classes: outputs of the classifier.
        in_channels: channels of the images.
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
        in_channels: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, STEM, 7, 2, 3, bias=False)
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
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return]


class ResNet18(ResNet):
    """ResNet-18: basic blocks of two convolutions."""

    def __init__(self, num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__(BasicBlock, 1, REPEATS_18, num_classes, in_channels)


class ResNet50(ResNet):
    """ResNet-50: bottleneck blocks of three convolutions.

    The stride is in the first 1x1 convolution in the paper, and in the 3x3 convolution in torchvision.
    """

    def __init__(
        self, num_classes: int = 1000, stride_on: Literal["3x3", "1x1"] = "3x3", in_channels: int = 3
    ) -> None:
        def bottleneck(inp: int, channels: int, stride: int) -> nn.Module:
            return Bottleneck(inp, channels, stride, stride_on)

        super().__init__(bottleneck, EXPANSION, REPEATS_50, num_classes, in_channels)
