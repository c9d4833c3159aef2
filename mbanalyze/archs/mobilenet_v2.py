"""MobileNetV2: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, inverted_residual, round_width
from mbanalyze.archs.builder import Builder
from mbanalyze.archs.stage_text import Stage, blocks_of, parse_stages, stages_option
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
PAPER = tuple(Stage((3,) * n, (t,) * n, c) for t, c, n, _ in BLOCKS)
"""The paper's table as stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV2(options.Architecture):
    """Inverted residuals with linear bottlenecks: the paper's Table 2, with torchvision's rounding.

    Channels are `c alpha`, rounded to a multiple of `round_nearest` that is at least nine tenths of `c alpha`.
    The head keeps at least 1280 channels, or `head`.
    With `stages`, expansions, channels and depths are other than the paper's, and so are kernels.
    A block adds its input if its stride is 1 and its rounded input and output channels are equal.
    """

    paper = "MobileNetV2, arXiv:1801.04381"

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    round_nearest: int = options.option(8, "every width is a multiple of this number")
    head: int = options.option(
        HEAD, "channels of the last convolution; only an alpha above 1 scales them", quiet=True
    )
    stages: str = stages_option(len(BLOCKS))

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("features"):
            with builder.scope(0):
                x = conv_unit(builder, x, self._width(STEM), 3, "relu6", stride=2)
            blocks = list(self._blocks())
            for i, (k, t, c, s) in enumerate(blocks, 1):
                with builder.scope(i):
                    hidden = t * x.shape[1] if isinstance(t, int) else floor(t * x.shape[1] + 0.5)
                    x = inverted_residual(builder, x, hidden, self._width(c), "relu6", kernel=k, stride=s)
            with builder.scope(len(blocks) + 1):
                head = round_width(self.head * at_least(1.0, self.alpha), self.round_nearest)
                x = conv_unit(builder, x, head, 1, "relu6")
        x = builder.dropout(builder.flatten(builder.global_avg_pool(x)), name="classifier.0")
        builder.linear(x, self.num_classes, name="classifier.1")

    def _blocks(self) -> Iterator[tuple[int, float, int, int]]:
        """Yield the kernel, expansion, channels and stride of each block."""
        given = parse_stages(self.stages, len(BLOCKS)) or PAPER
        for block in blocks_of(given):
            stride = BLOCKS[block.stage][3] if block.first else 1
            yield block.kernel, block.expansion, block.channels, stride

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha, self.round_nearest)
