"""ResNet: He et al., Deep Residual Learning, 2015, arXiv:1512.03385."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value

STEM = 64
# channels of the 3x3 convolutions in each stage (the paper's Table 1)
STAGES = (64, 128, 256, 512)
REPEATS_18 = (2, 2, 2, 2)
REPEATS_50 = (3, 4, 6, 3)
EXPANSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet:
    """What the sizes share: stem, four stages, classifier; a size says how many blocks and what is in one."""

    paper: ClassVar[str] = "ResNet, arXiv:1512.03385"
    repeats: ClassVar[tuple[int, ...]]

    resolution: int = options.resolution()
    num_classes: int = options.num_classes()

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        x = conv_unit(sketch, x, STEM, 7, "relu", stride=2, names=("conv1", "bn1", "relu"))
        x = sketch.pool("max", x, 3, stride=2, padding=1, name="maxpool")
        for stage, (channels, repeats) in enumerate(zip(STAGES, self.repeats, strict=True), 1):
            for i in range(repeats):
                with sketch.at(f"layer{stage}", i):
                    x = self._block(sketch, x, channels, 2 if i == 0 and stage > 1 else 1)
        x = sketch.flatten(sketch.global_avg_pool(x, name="avgpool"))
        sketch.linear(x, self.num_classes, name="fc")
        return sketch.ops

    def _block(self, sketch: Sketch, x: Value, channels: int, stride: int) -> Value:
        y = self._convolutions(sketch, x, channels, stride)
        if stride != 1 or x.shape[1] != y.shape[1]:
            with sketch.at("downsample"):
                x = conv_unit(sketch, x, y.shape[1], 1, None, stride=stride)
        return sketch.elementwise("relu", sketch.elementwise("add", y, x), name="relu")

    def _convolutions(self, sketch: Sketch, x: Value, channels: int, stride: int) -> Value:
        """Two of 3x3, the stride in the first."""
        x = conv_unit(sketch, x, channels, 3, "relu", stride=stride, names=("conv1", "bn1", "relu"))
        return conv_unit(sketch, x, channels, 3, None, names=("conv2", "bn2", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet18(ResNet):
    """Basic blocks."""

    repeats = REPEATS_18


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNet50(ResNet):
    """Bottlenecks; the paper's have their stride in the first 1x1 convolution, torchvision's in the 3x3 one."""

    repeats = REPEATS_50

    stride_on: Literal["3x3", "1x1"] = options.option("3x3", "where a bottleneck shrinks; the paper's is 1x1")

    def _convolutions(self, sketch: Sketch, x: Value, channels: int, stride: int) -> Value:
        """1x1, 3x3 and 1x1, the last four times as wide."""
        first, second = (stride, 1) if self.stride_on == "1x1" else (1, stride)
        x = conv_unit(sketch, x, channels, 1, "relu", stride=first, names=("conv1", "bn1", "relu"))
        x = conv_unit(sketch, x, channels, 3, "relu", stride=second, names=("conv2", "bn2", "relu"))
        return conv_unit(sketch, x, EXPANSION * channels, 1, None, names=("conv3", "bn3", ""))
