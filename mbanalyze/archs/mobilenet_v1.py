"""MobileNetV1: Howard et al., MobileNets, 2017, arXiv:1704.04861."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import ClassVar

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Op, Value

STEM = 32
# c, s: output channels and stride of each separable layer (the paper's Table 1; the last stride is 1,
# where the paper prints 2, because the row after it still sees a 7 x 7 image)
LAYERS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
# the five layers at 14 x 14 x 512 that the paper's Table 5 leaves out
DEEP = slice(6, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV1:
    """A plain stack of depthwise separable layers: the paper's Table 1.

    Channels are `max(8, int(c alpha))`.
    """

    paper: ClassVar[str] = "MobileNets, arXiv:1704.04861"

    alpha: float = options.alpha()
    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    shallow: bool = options.option(False, "leave out the five 14x14x512 layers (Table 5)")
    separable: bool = options.option(True, "false: full 3x3 convolutions throughout (Table 4)")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            with sketch.at(0):
                x = conv_unit(sketch, x, self._width(STEM), 3, "relu", stride=2)
            layers = [*LAYERS[: DEEP.start], *LAYERS[DEEP.stop :]] if self.shallow else LAYERS
            for i, (c, s) in enumerate(layers, 1):
                with sketch.at(i):
                    x = self._layer(sketch, x, self._width(c), s)
        x = sketch.flatten(sketch.global_avg_pool(x, name="pool"))
        sketch.linear(x, self.num_classes, name="classifier")
        return sketch.ops

    def _width(self, channels: int) -> int:
        return at_least(8, floor(channels * self.alpha))

    def _layer(self, sketch: Sketch, x: Value, channels: int, stride: int) -> Value:
        if not self.separable:
            return conv_unit(sketch, x, channels, 3, "relu", stride=stride)
        with sketch.at("depthwise"):
            x = depthwise_unit(sketch, x, 3, "relu", stride=stride)
        with sketch.at("pointwise"):
            return conv_unit(sketch, x, channels, 1, "relu")
