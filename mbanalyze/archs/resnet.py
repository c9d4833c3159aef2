"""ResNet: He et al., Deep Residual Learning, 2015, arXiv:1512.03385."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

STEM = 64
# channels of the 3x3 convolutions in each stage (the paper's Table 1)
STAGES = (64, 128, 256, 512)
REPEATS_18 = (2, 2, 2, 2)
REPEATS_50 = (3, 4, 6, 3)
EXPANSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet(options.Architecture):
    """The network of all sizes: stem, four stages, classifier; a subclass defines the blocks and their number."""

    paper = "ResNet, arXiv:1512.03385"
    repeats: ClassVar[tuple[int, ...]]

    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()

    def _forward(self, builder: Builder, x: Value) -> None:
        x = conv_unit(builder, x, STEM, 7, "relu", stride=2, names=("conv1", "bn1", "relu"))
        x = builder.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, (channels, repeats) in enumerate(zip(STAGES, self.repeats, strict=True), 1):
            for i in range(repeats):
                with builder.scope(f"layer{stage}", i):
                    x = self._block(builder, x, channels, 2 if i == 0 and stage > 1 else 1)
        x = builder.flatten(builder.global_avg_pool(x, name="avgpool"))
        builder.linear(x, self.num_classes, name="fc")

    def _block(self, builder: Builder, x: Value, channels: int, stride: int) -> Value:
        y = self._convolutions(builder, x, channels, stride)
        if stride != 1 or x.shape[1] != y.shape[1]:
            with builder.scope("downsample"):
                x = conv_unit(builder, x, y.shape[1], 1, None, stride=stride)
        return builder.elementwise("relu", builder.elementwise("add", y, x), name="relu")

    def _convolutions(self, builder: Builder, x: Value, channels: int, stride: int) -> Value:
        """Two 3x3 convolutions; the first has the stride."""
        x = conv_unit(builder, x, channels, 3, "relu", stride=stride, names=("conv1", "bn1", "relu"))
        return conv_unit(builder, x, channels, 3, None, names=("conv2", "bn2", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet18(ResNet):
    """ResNet-18: basic blocks of two convolutions."""

    repeats = REPEATS_18


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet50(ResNet):
    """ResNet-50: bottleneck blocks of three convolutions.

    The stride is in the first 1x1 convolution in the paper, and in the 3x3 convolution in torchvision.
    """

    repeats = REPEATS_50

    stride_on: Literal["3x3", "1x1"] = options.option(
        "3x3", "convolution of a bottleneck that has the stride; 1x1 in the paper"
    )

    def _convolutions(self, builder: Builder, x: Value, channels: int, stride: int) -> Value:
        """A 1x1, a 3x3 and a 1x1 convolution, the last four times as wide."""
        first, second = (stride, 1) if self.stride_on == "1x1" else (1, stride)
        x = conv_unit(builder, x, channels, 1, "relu", stride=first, names=("conv1", "bn1", "relu"))
        x = conv_unit(builder, x, channels, 3, "relu", stride=second, names=("conv2", "bn2", "relu"))
        return conv_unit(builder, x, EXPANSION * channels, 1, None, names=("conv3", "bn3", ""))
