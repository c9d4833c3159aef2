"""MobileNetV3: Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, inverted_residual, round_width
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value

STEM = 16
# k, exp, c, se, hs, s: kernel, expanded and output channels, squeeze-and-excitation, hard swish, stride
# (the latest version's Tables 1 and 2)
LARGE = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
SMALL = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)
# the last convolution is this many times as wide as the last block
TAIL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3:
    """What the two sizes share; widths are rounded to multiples of 8 as in MobileNetV2.

    `width_rule`: torchvision scales every width in the table. The paper's figures fit another rule: an
    expansion is a multiple of the block's scaled input, and the outputs before the classifier (`head`)
    stay. `tail`: the paper's Figure 5, where the efficient last stage pools before its last
    widening, and the original one first filters, projects and widens as MobileNetV2 does.
    """

    paper: ClassVar[str] = "MobileNetV3, arXiv:1905.02244"
    blocks: ClassVar[tuple[tuple[int, int, int, bool, bool, int], ...]]

    alpha: float = options.alpha()
    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    width_rule: Literal["torchvision", "paper"] = options.option(
        "torchvision", "how alpha scales; the paper's rule keeps the outputs before the classifier"
    )
    minimalistic: bool = options.option(False, "no squeeze-and-excitation, hard swish or 5x5 kernel")
    tail: Literal["efficient", "original"] = options.option(
        "efficient", "original: the last stage before Figure 5 made it cheaper"
    )
    head: int = options.option(1280, "outputs before the classifier")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        swish = "relu" if self.minimalistic else "hard_swish"
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            with sketch.at(0):
                x = conv_unit(sketch, x, self._width(STEM), 3, swish, stride=2)
            inputs = (STEM, *(block[2] for block in self.blocks))
            for i, (c, (k, expanded, out, se, hs, s)) in enumerate(zip(inputs, self.blocks, strict=False), 1):
                hidden = self._hidden(x, c, expanded)
                with sketch.at(i):
                    x = inverted_residual(
                        sketch,
                        x,
                        hidden,
                        self._width(out),
                        swish if hs else "relu",
                        kernel=3 if self.minimalistic else k,
                        stride=s,
                        squeezed=round_width(hidden // 4) if se and not self.minimalistic else None,
                        names=("block", True),
                    )
            last = len(self.blocks) + 1
            if self.tail == "efficient":
                with sketch.at(last):
                    x = conv_unit(sketch, x, self._last(x), 1, swish)
            else:
                c = x.shape[1]
                with sketch.at(last):
                    x = inverted_residual(sketch, x, TAIL * c, 2 * c, swish, names=("block", True))
                with sketch.at(last + 1):
                    x = conv_unit(sketch, x, self._head(), 1, swish)
        x = sketch.flatten(sketch.global_avg_pool(x, name="avgpool"))
        if self.tail == "efficient":
            x = sketch.linear(x, self._head(), name="classifier.0")
            x = sketch.elementwise(swish, x, name="classifier.1")
        sketch.linear(x, self.num_classes, name="classifier.3")
        return sketch.ops

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha)

    def _hidden(self, x: Value, c: int, expanded: int) -> int:
        """Expanded channels of a block whose input has `c` channels in the table, and those of `x` here."""
        if self.width_rule == "torchvision":
            return self._width(expanded)
        return round_width(expanded / c * x.shape[1])

    def _last(self, x: Value) -> int:
        """Channels of the last convolution."""
        return (
            TAIL * x.shape[1] if self.width_rule == "torchvision" else self._width(TAIL * self.blocks[-1][2])
        )

    def _head(self) -> int:
        """Outputs before the classifier."""
        return self.head if self.width_rule == "paper" else self._width(self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Large(MobileNetV3):
    """The paper's Table 1."""

    blocks = LARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Small(MobileNetV3):
    """The paper's Table 2 in its latest version; the versions before it print a `head` of 1280."""

    blocks = SMALL
    head: int = options.option(1024, "outputs before the classifier; 1280 in the paper's first versions")
