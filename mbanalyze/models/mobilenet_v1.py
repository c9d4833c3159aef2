"""MobileNetV1 as a module: Howard et al., 2017, arXiv:1704.04861."""

from __future__ import annotations

from torch import Tensor, nn

from mbanalyze.archs.mobilenet_v1 import DEEP, LAYERS, STEM
from mbanalyze.models.blocks import ConvUnit, ReLU, initialise


class DepthwiseSeparable(nn.Sequential):
    """One 3x3 filter a channel, then a 1x1 convolution across channels."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        self.depthwise = ConvUnit(inp, inp, 3, ReLU, stride=stride, groups=inp)
        self.pointwise = ConvUnit(inp, oup, 1, ReLU)


class MobileNetV1(nn.Module):
    """The paper's Table 1, for images `[n, 3, h, w]` -> logits `[n, num_classes]`.

    timm's `mobilenetv1_100` (with ReLU for its ReLU6) has the same parameters: its `conv_stem` and `bn1`
    are `features.0.0` and `features.0.1` here, and the `conv_dw`, `bn1`, `conv_pw`, `bn2` of its i-th block
    are `depthwise.0`, `depthwise.1`, `pointwise.0` and `pointwise.1` of `features.i`.

    Args:
        alpha: width multiplier; a layer of `c` channels gets `max(8, int(c * alpha))`.
        num_classes: outputs of the classifier.
        shallow: leave out the five 14x14x512 layers (the paper's Table 5).
        separable: False makes every layer a full 3x3 convolution (the paper's Table 4).
    """

    def __init__(
        self,
        alpha: float = 1.0,
        num_classes: int = 1000,
        shallow: bool = False,
        separable: bool = True,
    ) -> None:
        super().__init__()
        widths = [max(int(alpha * c), 8) for c, _ in ((STEM, 2), *LAYERS)]
        features: list[nn.Module] = [ConvUnit(3, widths[0], 3, ReLU, stride=2)]
        for index, (_, stride) in enumerate(LAYERS):
            if shallow and DEEP.start <= index < DEEP.stop:
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
        """Images `[n, 3, h, w]` -> logits `[n, num_classes]`."""
        return self.classifier(self.pool(self.features(x)).flatten(1))  # type: ignore[no-any-return]
