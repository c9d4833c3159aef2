"""MobileNetV2 as a module: Sandler et al., 2018, arXiv:1801.04381. Its parameters are named as torchvision's."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from mbanalyze.archs.mobilenet_v2 import BLOCKS, HEAD, STEM


def nearest_multiple(channels: float, step: int) -> int:
    """The multiple of `step` nearest to `channels`, or the one above it if that loses over a tenth."""
    steps = max(int(channels + step / 2) // step, 1)
    width = steps * step
    return width + step if width < 0.9 * channels else width


class ConvBNReLU6(nn.Sequential):
    """A convolution without bias that keeps the image's size at stride 1, batch norm and ReLU6."""

    def __init__(self, inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inp, oup, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(oup),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1 without an activation; add where shapes agree."""

    def __init__(self, inp: int, oup: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [ConvBNReLU6(inp, hidden, 1)]
        layers += [
            ConvBNReLU6(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h / stride, w / stride]`."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """The paper's Table 2, for images `[n, 3, h, w]` -> logits `[n, num_classes]`.

    Args:
        alpha: width multiplier.
        num_classes: outputs of the classifier.
        round_nearest: every width is a multiple of this.
        dropout: share of features dropped before the classifier in training.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        round_nearest: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        width = nearest_multiple(STEM * alpha, round_nearest)
        features: list[nn.Module] = [ConvBNReLU6(3, width, 3, stride=2)]
        for expansion, channels, repeats, first_stride in BLOCKS:
            out = nearest_multiple(channels * alpha, round_nearest)
            for stride in [first_stride] + [1] * (repeats - 1):
                features.append(InvertedResidual(width, out, stride, expansion))
                width = out
        head = nearest_multiple(HEAD * max(alpha, 1.0), round_nearest)
        features.append(ConvBNReLU6(width, head, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`."""
        pooled = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]


def _initialise(module: nn.Module) -> None:
    """Weights by fan-out for convolutions, near zero for the classifier."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
