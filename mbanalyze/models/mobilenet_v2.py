"""MobileNetV2 as a module: Sandler et al., 2018, arXiv:1801.04381. Parameters have torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.mobilenet_v2 import BLOCKS, HEAD, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU6, initialise, inverted_residual, nearest_multiple


class InvertedResidual(nn.Module):
    """An inverted residual: expand, filter depthwise, project linearly, and add the input if shapes agree."""

    def __init__(self, inp: int, oup: int, stride: int, expansion: int) -> None:
        super().__init__()
        *parts, project = inverted_residual(inp, inp * expansion, oup, ReLU6, stride=stride)
        self.conv = nn.Sequential(*parts, *project.children())
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """The paper's Table 2: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        round_nearest: every width is a multiple of this number.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        round_nearest: int = 8,
        dropout: float = 0.2,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        width = nearest_multiple(STEM * alpha, round_nearest)
        features: list[nn.Module] = [ConvUnit(in_channels, width, 3, ReLU6, stride=2)]
        for expansion, channels, repeats, first_stride in BLOCKS:
            out = nearest_multiple(channels * alpha, round_nearest)
            for stride in [first_stride] + [1] * (repeats - 1):
                features.append(InvertedResidual(width, out, stride, expansion))
                width = out
        head = nearest_multiple(HEAD * max(alpha, 1.0), round_nearest)
        features.append(ConvUnit(width, head, 1, ReLU6))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        pooled = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]
