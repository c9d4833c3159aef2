"""MobileNetV3: Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, inverted_residual, round_width
from mbanalyze.archs.builder import Builder
from mbanalyze.archs.stage_text import blocks_of, expanded_channels, parse_stages, stages_option
from mbanalyze.ops.record import Value

STEM = 16
# k, exp, c, se, hs, s: kernel, expanded channels, output channels, squeeze-and-excitation, hard swish, stride
# (Tables 1 and 2 of the paper's latest version)
LARGE_BLOCKS = (
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
SMALL_BLOCKS = (
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
# channels of the last convolution per channel of the last block
TAIL_EXPANSION = 6

Row = tuple[int, int, int, bool, bool, int]
"""A row of the table: k, exp, c, se, hs, s."""
LARGE_STAGES, SMALL_STAGES = 6, 5
"""The number of stages of each table: rows in a row with the same output channels."""


def staged_rows(text: str, table: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows of a network whose stages are a text, or `table` if the text is "".

    Each stage has the stride of the paper's stage, with its squeeze-and-excitation and its activation.
    An expansion multiplies the input channels before the width multiplier.
    """
    firsts = [next(rows) for _, rows in groupby(table, lambda row: row[2])]
    rows, c = list[Row](), STEM
    for block in blocks_of(parse_stages(text, len(firsts))):
        *_, se, hs, s = firsts[block.stage]
        hidden = expanded_channels(c, block.expansion)
        rows.append((block.kernel, hidden, block.channels, se, hs, s if block.first else 1))
        c = block.channels
    return tuple(rows) or tuple(table)


_block = partial(inverted_residual, submodule="block", wrap_projection=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3(options.Architecture):
    """The network of both sizes; widths are rounded to multiples of 8 as in MobileNetV2.

    `width_rule`: torchvision scales every width of the table.
    The paper's figures follow another rule: a block expands in proportion to its scaled input, and `head` stays fixed.
    `tail` selects one of the last stages of the paper's Figure 5.
    The efficient one pools before its last expansion; the original one ends like MobileNetV2.
    `stages` takes the place of the table's kernels, expansions, channels and depths.
    """

    paper = "MobileNetV3, arXiv:1905.02244"
    blocks: ClassVar[tuple[Row, ...]]

    alpha: float = options.alpha()
    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    width_rule: Literal["torchvision", "paper"] = options.option(
        "torchvision", "rule by which alpha scales widths; the paper's rule does not scale the head"
    )
    minimalistic: bool = options.option(False, "leave out squeeze-and-excitation, hard swish and 5x5 kernels")
    tail: Literal["efficient", "original"] = options.option(
        "efficient", "last stage of the paper's Figure 5: the efficient one or the original"
    )
    head: int = options.option(1280, "features before the classifier")
    stages: str = stages_option(LARGE_STAGES)

    def _forward(self, builder: Builder, x: Value) -> None:
        swish = "relu" if self.minimalistic else "hard_swish"
        with builder.scope("features"):
            with builder.scope(0):
                x = conv_unit(builder, x, self._width(STEM), 3, swish, stride=2)
            rows = staged_rows(self.stages, self.blocks)
            inputs = (STEM, *(row[2] for row in rows))
            for i, (c, (k, expanded, out, se, hs, s)) in enumerate(zip(inputs, rows, strict=False), 1):
                hidden = self._hidden(x, c, expanded)
                with builder.scope(i):
                    x = _block(
                        builder,
                        x,
                        hidden,
                        self._width(out),
                        swish if hs else "relu",
                        kernel=min(k, 3) if self.minimalistic else k,
                        stride=s,
                        squeezed=round_width(hidden // 4) if se and not self.minimalistic else None,
                    )
            last = len(rows) + 1
            if self.tail == "efficient":
                with builder.scope(last):
                    x = conv_unit(builder, x, self._last(x, rows[-1][2]), 1, swish)
            else:
                c = x.shape[1]
                with builder.scope(last):
                    x = _block(builder, x, TAIL_EXPANSION * c, 2 * c, swish)
                with builder.scope(last + 1):
                    x = conv_unit(builder, x, self._head(), 1, swish)
        x = builder.flatten(builder.global_avg_pool(x, name="avgpool"))
        if self.tail == "efficient":
            x = builder.linear(x, self._head(), name="classifier.0")
            x = builder.elementwise(swish, x, name="classifier.1")
        builder.linear(builder.dropout(x, name="classifier.2"), self.num_classes, name="classifier.3")

    def _width(self, channels: int) -> int:
        return round_width(channels * self.alpha)

    def _hidden(self, x: Value, c: int, expanded: int) -> int:
        """The expanded channels of a block with input `x`, whose input has `c` channels in the table."""
        if self.width_rule == "torchvision":
            return self._width(expanded)
        return round_width(expanded / c * x.shape[1])

    def _last(self, x: Value, c: int) -> int:
        """The channels of the last convolution, whose input `x` has `c` channels in the table."""
        if self.width_rule == "torchvision":
            return TAIL_EXPANSION * x.shape[1]
        return self._width(TAIL_EXPANSION * c)

    def _head(self) -> int:
        """The features before the classifier."""
        return self.head if self.width_rule == "paper" else self._width(self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Large(MobileNetV3):
    """MobileNetV3-Large: the paper's Table 1."""

    blocks = LARGE_BLOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileNetV3Small(MobileNetV3):
    """MobileNetV3-Small: the paper's Table 2 in its latest version; earlier versions print a `head` of 1280."""

    blocks = SMALL_BLOCKS
    head: int = options.option(1024, "features before the classifier; 1280 in the paper's first versions")
    stages: str = stages_option(SMALL_STAGES)
