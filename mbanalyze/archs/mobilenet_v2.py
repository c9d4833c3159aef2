"""MobileNetV2: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, inverted_residual, round_width
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.numbers import at_least
from mbanalyze.ops.record import Op

STEM, HEAD = 32, 1280
# t, c, n, s: expansion, output channels, repeats, stride of the first (the paper's Table 2)
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
class MobileNetV2:
    """Inverted residuals with linear bottlenecks: the paper's Table 2, with torchvision's rounding.

    Channels are `c alpha` rounded to a multiple of `round_nearest`, never below nine tenths of it; the
    head does not shrink below 1280. A block has a residual where its stride is 1 and its channels agree
    after rounding.
    """

    paper: ClassVar[str] = "MobileNetV2, arXiv:1801.04381"

    alpha: float = options.alpha()
    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    round_nearest: int = options.option(8, "every width is a multiple of this")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            with sketch.at(0):
                x = conv_unit(sketch, x, self._width(STEM), 3, "relu6", stride=2)
            blocks = [(t, c, s if i == 0 else 1) for t, c, n, s in BLOCKS for i in range(n)]
            for i, (t, c, s) in enumerate(blocks, 1):
                with sketch.at(i):
                    hidden = t * x.shape[1]
                    x = inverted_residual(sketch, x, hidden, self._width(c), "relu6", stride=s)
            with sketch.at(len(blocks) + 1):
                head = round_width(HEAD * at_least(1.0, self.alpha), self.round_nearest)
                x = conv_unit(sketch, x, head, 1, "relu6")
        x = sketch.flatten(sketch.global_avg_pool(x))
        sketch.linear(x, self.num_classes, name="classifier.1")
        return sketch.ops

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha, self.round_nearest)
