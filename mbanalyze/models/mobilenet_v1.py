"""MobileNetV1 as a module: Howard et al., 2017, arXiv:1704.04861."""

from __future__ import annotations

from torch import Tensor, nn

from mbanalyze.archs.mobilenet_v1 import SEPARABLE_LAYERS, SHALLOW_OMITS, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise


class DepthwiseSeparable(nn.Sequential):
    """A depthwise 3x3 convolution, then a pointwise convolution."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvUnit(inp, inp, 3, ReLU, stride=stride, groups=inp)
        self.pointwise = ConvUnit(inp, oup, 1, ReLU)


class MobileNetV1(nn.Module):
    """The paper's Table 1: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    timm's `mobilenetv1_100`, with ReLU instead of ReLU6, has the same parameters under other names.
    Its `conv_stem` and `bn1` are `features.0.0` and `features.0.1`.
    `conv_dw`, `bn1`, `conv_pw` and `bn2` of its i-th block are `depthwise.0`, `depthwise.1`, `pointwise.0` and
    `pointwise.1` of `features.i`.

    Args:
        alpha: width multiplier; a layer of `c` channels has `max(8, int(c * alpha))` channels.
        num_classes: outputs of the classifier.
        shallow: True to leave out the five 14x14x512 layers (the paper's Table 5).
        separable: False to make every layer a full 3x3 convolution (the paper's Table 4).
        in_channels: channels of the images.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        shallow: bool = False,
        separable: bool = True,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        widths = [max(int(alpha * c), 8) for c, _ in ((STEM, 2), *SEPARABLE_LAYERS)]
        features: list[nn.Module] = [ConvUnit(in_channels, widths[0], 3, ReLU, stride=2)]
        for index, (_, stride) in enumerate(SEPARABLE_LAYERS):
            if shallow and SHALLOW_OMITS.start <= index < SHALLOW_OMITS.stop:
                continue
            inp, oup = widths[index : index + 2]
            features.append(
                DepthwiseSeparable(inp, oup, stride)
                if separable
                else ConvUnit(inp, oup, 3, ReLU, stride=stride)
            )
        self.features = nn.Sequential(*features)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        return self.classifier(self.pool(self.features(x)).flatten(1))  # type: ignore[no-any-return]
