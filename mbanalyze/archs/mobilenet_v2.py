"""MobileNetV2: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, inverted_residual, round_width
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Value

STEM, HEAD = 32, 1280
# t, c, n, s: expansion, output channels, repeats, stride of the first block (the paper's Table 2)
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV2(options.Architecture):
    """Inverted residuals with linear bottlenecks: the paper's Table 2, with torchvision's rounding.

    Channels are `c alpha`, rounded to a multiple of `round_nearest` that is at least nine tenths of `c alpha`.
    The head keeps at least 1280 channels.
    A block adds its input if its stride is 1 and its rounded input and output channels are equal.
    """

    paper = "MobileNetV2, arXiv:1801.04381"

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    round_nearest: int = options.option(8, "every width is a multiple of this number")

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("features"):
            with builder.scope(0):
                x = conv_unit(builder, x, self._width(STEM), 3, "relu6", stride=2)
            blocks = [(t, c, s if i == 0 else 1) for t, c, n, s in BLOCKS for i in range(n)]
            for i, (t, c, s) in enumerate(blocks, 1):
                with builder.scope(i):
                    hidden = t * x.shape[1]
                    x = inverted_residual(builder, x, hidden, self._width(c), "relu6", stride=s)
            with builder.scope(len(blocks) + 1):
                head = round_width(HEAD * at_least(1.0, self.alpha), self.round_nearest)
                x = conv_unit(builder, x, head, 1, "relu6")
        x = builder.dropout(builder.flatten(builder.global_avg_pool(x)), name="classifier.0")
        builder.linear(x, self.num_classes, name="classifier.1")

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha, self.round_nearest)
