"""MnasNet as a module: Tan et al., 2018, arXiv:1807.11626. Parameters have torchvision's names."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from mbanalyze.archs.mnasnet import BLOCKS, HEAD, SEPARABLE, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise, nearest_multiple

conv_unit = partial(ConvUnit, norm=partial(nn.BatchNorm2d, momentum=0.0003))


class MnasNetBlock(nn.Module):
    """An inverted residual: expand, filter depthwise, project, and add the input if shapes agree."""

    def __init__(self, inp: int, oup: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.layers = nn.Sequential(
            *conv_unit(inp, hidden, 1, ReLU),
            *conv_unit(hidden, hidden, kernel, ReLU, stride=stride, groups=hidden),
            *conv_unit(hidden, oup, 1, None),
        )
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.layers(x)
        return out + x if self.residual else out


class MnasNet(nn.Module):
    """The paper's Figure 7: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
    """

    _version = 2  # stored in the state dict; torchvision treats a state dict without it as an older network

    def __init__(
        self, alpha: float = 1.0, num_classes: int = 1000, dropout: float = 0.2, in_channels: int = 3
    ) -> None:
        super().__init__()
        stem, width = nearest_multiple(STEM * alpha), nearest_multiple(SEPARABLE * alpha)
        layers: list[nn.Module] = [
            *conv_unit(in_channels, stem, 3, ReLU, stride=2),
            *conv_unit(stem, stem, 3, ReLU, groups=stem),
            *conv_unit(stem, width, 1, None),
        ]
        for expansion, channels, repeats, first_stride, kernel in BLOCKS:
            out = nearest_multiple(channels * alpha)
            stack: list[nn.Module] = []
            for stride in [first_stride] + [1] * (repeats - 1):
                stack.append(MnasNetBlock(width, out, expansion, stride, kernel))
                width = out
            layers.append(nn.Sequential(*stack))
        layers += conv_unit(width, HEAD, 1, ReLU)
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(HEAD, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.layers(x).mean([2, 3]))  # type: ignore[no-any-return]
