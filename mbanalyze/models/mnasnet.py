"""MnasNet as a module: Tan et al., 2018, arXiv:1807.11626. Its parameters are named as torchvision's."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from mbanalyze.archs.mnasnet import BLOCKS, FIRST, HEAD, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise, nearest_multiple

unit = partial(ConvUnit, norm=partial(nn.BatchNorm2d, momentum=0.0003))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add where shapes agree."""

    def __init__(self, inp: int, oup: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.layers = nn.Sequential(
            *unit(inp, hidden, 1, ReLU),
            *unit(hidden, hidden, kernel, ReLU, stride=stride, groups=hidden),
            *unit(hidden, oup, 1, None),
        )
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.layers(x)
        return out + x if self.residual else out


class MnasNet(nn.Module):
    """The paper's Figure 7, for images `[n, 3, h, w]` -> logits `[n, num_classes]`.

    Args:
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        dropout: share of features dropped before the classifier in training.
    """

    _version = 2  # in the state dict; torchvision takes one without it for an older network

    def __init__(self, alpha: float = 1.0, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        stem, width = nearest_multiple(STEM * alpha), nearest_multiple(FIRST * alpha)
        layers: list[nn.Module] = [
            *unit(3, stem, 3, ReLU, stride=2),
            *unit(stem, stem, 3, ReLU, groups=stem),
            *unit(stem, width, 1, None),
        ]
        for expansion, channels, repeats, first_stride, kernel in BLOCKS:
            out = nearest_multiple(channels * alpha)
            stack: list[nn.Module] = []
            for stride in [first_stride] + [1] * (repeats - 1):
                stack.append(InvertedResidual(width, out, expansion, stride, kernel))
                width = out
            layers.append(nn.Sequential(*stack))
        layers += unit(width, HEAD, 1, ReLU)
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(HEAD, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`."""
        return self.classifier(self.layers(x).mean([2, 3]))  # type: ignore[no-any-return]
