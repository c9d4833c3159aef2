"""MobileNetV3 as a module: Howard et al., 2019, arXiv:1905.02244. Its parameters are named as torchvision's."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from mbanalyze.archs.mobilenet_v3 import LARGE, SMALL, STEM, TAIL
from mbanalyze.models.blocks import (
    ConvUnit,
    HardSwish,
    Layer,
    ReLU,
    initialise,
    inverted_residual,
    nearest_multiple,
)

norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, weigh channels, project; add where shapes agree."""

    def __init__(
        self, inp: int, hidden: int, oup: int, activation: Layer, stride: int = 1, **parts: Any
    ) -> None:
        super().__init__()
        block = inverted_residual(inp, hidden, oup, activation, stride=stride, norm=norm, **parts)
        self.block = nn.Sequential(*block)
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.block(x)
        return x + out if self.residual else out


class MobileNetV3(nn.Module):
    """The paper's Table 1 or 2, for images `[n, 3, h, w]` -> logits `[n, num_classes]`.

    Args:
        blocks: the table's rows.
        head: outputs before the classifier.
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        width_rule: `torchvision` scales every width of the table; `paper` expands in proportion to a block's
            scaled input, and leaves `head` alone.
        minimalistic: no squeeze-and-excitation, hard swish or 5x5 kernel.
        tail: `original` is the last stage before the paper's Figure 5 made it efficient.
        dropout: share of features dropped before the classifier in training.
    """

    def __init__(
        self,
        blocks: tuple[tuple[int, int, int, bool, bool, int], ...],
        head: int,
        alpha: float = 1.0,
        num_classes: int = 1000,
        width_rule: Literal["torchvision", "paper"] = "torchvision",
        minimalistic: bool = False,
        tail: Literal["efficient", "original"] = "efficient",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        swish = ReLU if minimalistic else HardSwish
        paper = width_rule == "paper"
        width = nearest_multiple(STEM * alpha)
        features: list[nn.Module] = [ConvUnit(3, width, 3, swish, stride=2, norm=norm)]
        before = STEM
        for kernel, expanded, channels, squeezes, swishes, stride in blocks:
            hidden = nearest_multiple(expanded / before * width if paper else expanded * alpha)
            block = InvertedResidual(
                width,
                hidden,
                width := nearest_multiple(channels * alpha),
                swish if swishes else ReLU,
                stride,
                kernel=min(kernel, 3) if minimalistic else kernel,
                squeezed=nearest_multiple(hidden // 4) if squeezes and not minimalistic else None,
            )
            features.append(block)
            before = channels
        head = head if paper else nearest_multiple(head * alpha)
        dropped = nn.Dropout(dropout, inplace=True)
        if tail == "efficient":
            last = nearest_multiple(TAIL * before * alpha) if paper else TAIL * width
            features.append(ConvUnit(width, last, 1, swish, norm=norm))
            widen = [nn.Linear(last, head), swish()]
        else:
            features.append(InvertedResidual(width, TAIL * width, 2 * width, swish))
            features.append(ConvUnit(2 * width, head, 1, swish, norm=norm))
            widen = [nn.Identity(), nn.Identity()]
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(*widen, dropped, nn.Linear(head, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # type: ignore[no-any-return]


class MobileNetV3Large(MobileNetV3):
    """The paper's Table 1; options as in `MobileNetV3`."""

    def __init__(self, head: int = 1280, **options: Any) -> None:
        super().__init__(LARGE, head, **options)


class MobileNetV3Small(MobileNetV3):
    """The paper's Table 2; options as in `MobileNetV3`."""

    def __init__(self, head: int = 1024, **options: Any) -> None:
        super().__init__(SMALL, head, **options)
