"""Xception: Chollet, Xception, 2016, arXiv:1610.02357."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, separable_conv
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

STEM = (32, 64)
# output channels of the separable convolutions of each block, and the stride of its pooling (the paper's Figure 5)
BLOCKS = (((128, 128), 2), ((256, 256), 2), ((728, 728), 2), *(((728, 728, 728), 1),) * 8, ((728, 1024), 2))
EXIT_FLOW = (1536, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Xception(options.Architecture):
    """Separable convolutions with residual connections: the paper's Figure 5."""

    paper = "Xception, arXiv:1610.02357"

    resolution: int | tuple[int, int] = options.resolution(299)
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()

    def _forward(self, builder: Builder, x: Value) -> None:
        for i, channels in enumerate(STEM, 1):
            names = (f"conv{i}", f"bn{i}", f"act{i}")
            x = conv_unit(builder, x, channels, 3, "relu", stride=3 - i, padding=0, names=names)
        for i, (widths, stride) in enumerate(BLOCKS, 1):
            with builder.scope(f"block{i}"):
                x = _block(builder, x, widths, stride, leading_relu=i > 1)
        for i, c in enumerate(EXIT_FLOW, 3):
            with builder.scope(f"conv{i}"):
                x = separable_conv(builder, x, c, 3)
            x = builder.elementwise("relu", builder.batch_norm(x, name=f"bn{i}"), name=f"act{i}")
        x = builder.flatten(builder.global_avg_pool(x, name="global_pool"))
        builder.linear(x, self.num_classes, name="fc")


def _block(
    builder: Builder, x: Value, channels: tuple[int, ...], stride: int, *, leading_relu: bool
) -> Value:
    """ReLU, separable convolution and batch norm for each of `channels`; `leading_relu` is False to skip the first ReLU."""
    y, position = x, 0
    with builder.scope("rep"):
        for i, c in enumerate(channels):
            if i > 0 or leading_relu:
                y = builder.elementwise("relu", y, name=position)
                position += 1
            with builder.scope(position):
                y = separable_conv(builder, y, c, 3)
            y = builder.batch_norm(y, name=position + 1)
            position += 2
        if stride > 1:
            y = builder.pool("max", y, 3, stride=stride, padding=1, name=position)
    if stride > 1:
        x = conv_unit(builder, x, channels[-1], 1, None, stride=stride, names=("skip", "skipbn", ""))
    return builder.elementwise("add", y, x)
