"""MobileNetV1: Howard et al., MobileNets, 2017, arXiv:1704.04861."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Value

STEM = 32
# c, s: output channels and stride of each separable layer (the paper's Table 1). The paper prints 2 for the last
# stride; it is 1, because the next row of the table has a 7 x 7 input
SEPARABLE_LAYERS = (
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
# the five layers at 14 x 14 x 512 that the shallow network of the paper's Table 5 leaves out
SHALLOW_OMITS = slice(6, 11)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV1(options.Architecture):
    """A stack of depthwise separable layers: the paper's Table 1.

    A layer has `max(8, int(c alpha))` channels.
    """

    paper = "MobileNets, arXiv:1704.04861"

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    shallow: bool = options.option(False, "leave out the five 14x14x512 layers (the paper's Table 5)")
    separable: bool = options.option(
        True, "false: every layer is a full 3x3 convolution (the paper's Table 4)"
    )

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("features"):
            with builder.scope(0):
                x = conv_unit(builder, x, self._width(STEM), 3, "relu", stride=2)
            layers = list(SEPARABLE_LAYERS)
            if self.shallow:
                del layers[SHALLOW_OMITS]
            for i, (c, s) in enumerate(layers, 1):
                with builder.scope(i):
                    x = self._layer(builder, x, self._width(c), s)
        x = builder.flatten(builder.global_avg_pool(x, name="pool"))
        builder.linear(x, self.num_classes, name="classifier")

    def _width(self, channels: int) -> int:
        return at_least(8, floor(channels * self.alpha))

    def _layer(self, builder: Builder, x: Value, channels: int, stride: int) -> Value:
        if not self.separable:
            return conv_unit(builder, x, channels, 3, "relu", stride=stride)
        with builder.scope("depthwise"):
            x = depthwise_unit(builder, x, 3, "relu", stride=stride)
        with builder.scope("pointwise"):
            return conv_unit(builder, x, channels, 1, "relu")
