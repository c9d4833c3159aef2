"""MobileNetV2: Sandler et al., MobileNetV2, 2018, arXiv:1801.04381."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mbanalyze.archs import options
from mbanalyze.cost import Op, Value
from mbanalyze.sketch import Sketch

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
                x = _conv_bn_relu6(sketch, x, self._width(STEM), 3, stride=2)
            strides = [(t, c, s if i == 0 else 1) for t, c, n, s in BLOCKS for i in range(n)]
            for i, (t, c, s) in enumerate(strides, 1):
                with sketch.at(i):
                    x = _inverted_residual(sketch, x, self._width(c), s, t)
            with sketch.at(len(strides) + 1):
                x = _conv_bn_relu6(sketch, x, self._width(HEAD, max(1.0, self.alpha)), 1)
        x = sketch.flatten(sketch.global_avg_pool(x))
        sketch.linear(x, self.num_classes, name="classifier.1")
        return sketch.ops

    def _width(self, channels: int, alpha: float | None = None) -> int:
        step, wanted = self.round_nearest, channels * (self.alpha if alpha is None else alpha)
        rounded = max(step, int(wanted + step / 2) // step * step)
        return rounded + step if rounded < 0.9 * wanted else rounded


def _inverted_residual(sketch: Sketch, x: Value, channels: int, stride: int, expansion: int) -> Value:
    inside, hidden = x, x.shape[1] * expansion
    depthwise = int(expansion != 1)  # the first in `conv`, where nothing expands
    with sketch.at("conv"):
        if expansion != 1:
            with sketch.at(0):
                inside = _conv_bn_relu6(sketch, inside, hidden, 1)
        with sketch.at(depthwise):
            inside = _conv_bn_relu6(sketch, inside, hidden, 3, stride=stride, groups=hidden)
        inside = sketch.conv(inside, channels, 1, name=depthwise + 1)
        inside = sketch.batch_norm(inside, name=depthwise + 2)
    residual = stride == 1 and x.shape[1] == channels
    return sketch.elementwise("add", x, inside) if residual else inside


def _conv_bn_relu6(
    sketch: Sketch, x: Value, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> Value:
    x = sketch.conv(x, channels, kernel, stride=stride, padding=kernel // 2, groups=groups, name=0)
    return sketch.elementwise("relu6", sketch.batch_norm(x, name=1), name=2)
