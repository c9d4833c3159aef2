"""MnasNet: Tan et al., MnasNet, 2018, arXiv:1807.11626; the B1 variant, without squeeze-and-excitation."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, depthwise_unit, round_width
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

STEM, SEPARABLE, HEAD = 32, 16, 1280
# t, c, n, s, k: expansion, output channels, repeats, stride of the first block, kernel (the paper's Figure 7)
BLOCKS = (
    (3, 24, 3, 2, 3),
    (3, 40, 3, 2, 5),
    (6, 80, 3, 2, 5),
    (6, 96, 2, 1, 3),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MnasNet(options.Architecture):
    """Inverted residuals found by a latency-aware search: the paper's Figure 7, with torchvision's rounding."""

    paper = "MnasNet, arXiv:1807.11626"

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("layers"):
            x = conv_unit(builder, x, self._width(STEM), 3, "relu", stride=2)
            x = depthwise_unit(builder, x, 3, "relu", names=(3, 4, 5))
            x = conv_unit(builder, x, self._width(SEPARABLE), 1, None, names=(6, 7, ""))
            for stage, (t, c, n, s, k) in enumerate(BLOCKS, 8):
                for i in range(n):
                    with builder.scope(stage, i):
                        x = _block(builder, x, t, self._width(c), s if i == 0 else 1, k)
            last = 8 + len(BLOCKS)
            x = conv_unit(builder, x, HEAD, 1, "relu", names=(last, last + 1, last + 2))
        x = builder.dropout(builder.global_avg_pool(x, keepdim=False), name="classifier.0")
        builder.linear(x, self.num_classes, name="classifier.1")

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha)


def _block(builder: Builder, x: Value, expansion: int, channels: int, stride: int, kernel: int) -> Value:
    with builder.scope("layers"):
        y = conv_unit(builder, x, expansion * x.shape[1], 1, "relu")
        y = depthwise_unit(builder, y, kernel, "relu", stride=stride, names=(3, 4, 5))
        y = conv_unit(builder, y, channels, 1, None, names=(6, 7, ""))
    return builder.elementwise("add", y, x) if stride == 1 and x.shape[1] == channels else y
