"""MobileNetV3 as a module: Howard et al., 2019, arXiv:1905.02244. Parameters have torchvision's names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from mbanalyze.archs.mobilenet_v3 import LARGE_BLOCKS, SMALL_BLOCKS, STEM, TAIL_EXPANSION, Row
from mbanalyze.archs.stage_text import parse_stages
from mbanalyze.models.blocks import (
    ActivationFactory,
    ConvUnit,
    HardSwish,
    ReLU,
    initialise,
    inverted_residual,
    nearest_multiple,
)

norm_factory = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)


class MobileNetV3Block(nn.Module):
    """An inverted residual with optional squeeze-and-excitation; it adds the input if shapes agree."""

    def __init__(
        self, inp: int, hidden: int, oup: int, activation: ActivationFactory, stride: int = 1, **parts: Any
    ) -> None:
        super().__init__()
        block = inverted_residual(inp, hidden, oup, activation, stride=stride, norm=norm_factory, **parts)
        self.block = nn.Sequential(*block)
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.block(x)
        return x + out if self.residual else out


def replaced(table: Sequence[Row], stages: str) -> Sequence[Row]:
    """Return the table's rows, or rows with the numbers of `stages` and the other settings of the table."""
    paper: dict[int, Row] = {}
    for row in table:
        paper.setdefault(row[2], row)  # every stage has other channels
    given = parse_stages(stages, len(paper))
    rows: list[Row] = []
    width = STEM
    for stage, (*_, squeezes, swishes, stride) in zip(given, paper.values(), strict=bool(given)):
        for at, (kernel, expansion) in enumerate(zip(stage.kernels, stage.expansions, strict=True)):
            expanded = int(width * expansion + 0.5)
            rows.append((kernel, expanded, stage.channels, squeezes, swishes, 1 if at else stride))
            width = stage.channels
    return rows or table


class MobileNetV3(nn.Module):
    """The paper's Table 1 or 2: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        blocks: rows of the table.
        head: features before the classifier.
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        width_rule: `torchvision` scales every width of the table; `paper` scales an expansion with the block's
            input and does not scale `head`.
        minimalistic: True to leave out squeeze-and-excitation, hard swish and 5x5 kernels.
        tail: last stage of the paper's Figure 5: `efficient` or `original`.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
        stages: kernels, expansions, channels and depths in place of the table's, as text.
    """

    def __init__(
        self,
        blocks: Sequence[Row],
        head: int,
        alpha: float = 1.0,
        num_classes: int = 1000,
        width_rule: Literal["torchvision", "paper"] = "torchvision",
        minimalistic: bool = False,
        tail: Literal["efficient", "original"] = "efficient",
        dropout: float = 0.2,
        in_channels: int = 3,
        stages: str = "",
    ) -> None:
        super().__init__()
        swish = ReLU if minimalistic else HardSwish
        paper = width_rule == "paper"
        width = nearest_multiple(STEM * alpha)
        features: list[nn.Module] = [ConvUnit(in_channels, width, 3, swish, stride=2, norm=norm_factory)]
        table_channels = STEM
        for kernel, expanded, channels, squeezes, swishes, stride in replaced(blocks, stages):
            hidden = nearest_multiple(expanded / table_channels * width if paper else expanded * alpha)
            block = MobileNetV3Block(
                width,
                hidden,
                width := nearest_multiple(channels * alpha),
                swish if swishes else ReLU,
                stride,
                kernel=min(kernel, 3) if minimalistic else kernel,
                squeezed=nearest_multiple(hidden // 4) if squeezes and not minimalistic else None,
            )
            features.append(block)
            table_channels = channels
        head = head if paper else nearest_multiple(head * alpha)
        dropped = nn.Dropout(dropout, inplace=True)
        if tail == "efficient":
            last = (
                nearest_multiple(TAIL_EXPANSION * table_channels * alpha) if paper else TAIL_EXPANSION * width
            )
            features.append(ConvUnit(width, last, 1, swish, norm=norm_factory))
            widen = [nn.Linear(last, head), swish()]
        else:
            features.append(MobileNetV3Block(width, TAIL_EXPANSION * width, 2 * width, swish))
            features.append(ConvUnit(2 * width, head, 1, swish, norm=norm_factory))
            widen = [nn.Identity(), nn.Identity()]
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(*widen, dropped, nn.Linear(head, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


class MobileNetV3Large(MobileNetV3):
    """MobileNetV3-Large: the paper's Table 1. Options as in `MobileNetV3`."""

    def __init__(self, head: int = 1280, **options: Any) -> None:
        super().__init__(LARGE_BLOCKS, head, **options)


class MobileNetV3Small(MobileNetV3):
    """MobileNetV3-Small: the paper's Table 2. Options as in `MobileNetV3`."""

    def __init__(self, head: int = 1024, **options: Any) -> None:
        super().__init__(SMALL_BLOCKS, head, **options)
