"""MobileNetV2 as a module: Sandler et al., 2018, arXiv:1801.04381. Parameters have torchvision's names."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.mobilenet_v2 import BLOCKS, HEAD, STEM
from mbanalyze.archs.stage_text import parse_stages
from mbanalyze.models.blocks import ConvUnit, ReLU6, initialise, inverted_residual, nearest_multiple


class InvertedResidual(nn.Module):
    """An inverted residual: expand, filter depthwise, project linearly, and add the input if shapes agree."""

    def __init__(self, inp: int, oup: int, stride: int, expansion: float, kernel: int = 3) -> None:
        super().__init__()
        hidden = int(inp * expansion + 0.5)
        *parts, project = inverted_residual(inp, hidden, oup, ReLU6, kernel=kernel, stride=stride)
        self.conv = nn.Sequential(*parts, *project.children())
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


def table(stages: str) -> Iterator[tuple[int, int, float, int]]:
    """Yield the output channels, stride, expansion and kernel of each block: the stages', or the paper's."""
    given = parse_stages(stages, len(BLOCKS))
    for i, (expansion, channels, repeats, first_stride) in enumerate(BLOCKS):
        strides = [first_stride] + [1] * ((given[i].depth if given else repeats) - 1)
        for at, stride in enumerate(strides):
            if given:
                yield given[i].channels, stride, given[i].expansions[at], given[i].kernels[at]
            else:
                yield channels, stride, expansion, 3


class MobileNetV2(nn.Module):
    """The paper's Table 2: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        round_nearest: every width is a multiple of this number.
        dropout: fraction of features dropped in training before the classifier.
        in_channels: channels of the images.
        head: channels of the last convolution; only an `alpha` above 1 scales them.
        stages: kernels, expansions, channels and depths in place of the table's, as text.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        round_nearest: int = 8,
        dropout: float = 0.2,
        in_channels: int = 3,
        head: int = HEAD,
        stages: str = "",
    ) -> None:
        super().__init__()
        width = nearest_multiple(STEM * alpha, round_nearest)
        features: list[nn.Module] = [ConvUnit(in_channels, width, 3, ReLU6, stride=2)]
        for channels, stride, expansion, kernel in table(stages):
            out = nearest_multiple(channels * alpha, round_nearest)
            features.append(InvertedResidual(width, out, stride, expansion, kernel))
            width = out
        head = nearest_multiple(head * max(alpha, 1.0), round_nearest)
        features.append(ConvUnit(width, head, 1, ReLU6))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        pooled = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]
