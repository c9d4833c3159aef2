"""Xception as a module: Chollet, 2016, arXiv:1610.02357. Parameters have the names of timm's `legacy_xception`."""

from __future__ import annotations

from torch import Tensor, nn

from mbanalyze.archs.xception import BLOCKS, EXIT_FLOW, STEM
from mbanalyze.models.blocks import ReLU, SeparableConv, initialise


class XceptionBlock(nn.Module):
    """ReLU, separable convolution and batch norm for each width, pooling at stride 2, and a shortcut.

    Args:
        leading_relu: False to leave out the first ReLU.
    """

    def __init__(self, inp: int, widths: tuple[int, ...], stride: int, *, leading_relu: bool) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        width = inp
        for out in widths:
            # the first ReLU must not overwrite the input, which the shortcut reads
            parts += [nn.ReLU(inplace=bool(parts)), SeparableConv(width, out, 3), nn.BatchNorm2d(out)]
            width = out
        if stride != 1:
            parts.append(nn.MaxPool2d(3, stride, 1))
        self.rep = nn.Sequential(*parts[0 if leading_relu else 1 :])
        self.skip = nn.Conv2d(inp, width, 1, stride, bias=False) if stride != 1 else None
        self.skipbn = nn.BatchNorm2d(width) if stride != 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, widths[-1], h / stride, w / stride]`."""
        out: Tensor = self.rep(x)
        if self.skip is None or self.skipbn is None:
            return out + x
        return out + self.skipbn(self.skip(x))  # type: ignore[no-any-return]


class Xception(nn.Module):
    """The paper's Figure 5: images `[n, in_channels, h, w]` to logits `[n, num_classes]`.

    Args:
        num_classes: outputs of the classifier.
        in_channels: channels of the images.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        first, width = STEM
        self.conv1 = nn.Conv2d(in_channels, first, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.act1 = ReLU()
        self.conv2 = nn.Conv2d(first, width, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = ReLU()
        for number, (widths, stride) in enumerate(BLOCKS, 1):
            self.add_module(f"block{number}", XceptionBlock(width, widths, stride, leading_relu=number > 1))
            width = widths[-1]
        third, last = EXIT_FLOW
        self.conv3 = SeparableConv(width, third, 3)
        self.bn3 = nn.BatchNorm2d(third)
        self.act3 = ReLU()
        self.conv4 = SeparableConv(third, last, 3)
        self.bn4 = nn.BatchNorm2d(last)
        self.act4 = ReLU()
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, num_classes)
        self.apply(initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map images `[n, in_channels, h, w]` to logits `[n, num_classes]`."""
        x = self.act1(self.bn1(self.conv1(x)))
        x = self.act2(self.bn2(self.conv2(x)))
        for number in range(1, len(BLOCKS) + 1):
            x = self.get_submodule(f"block{number}")(x)
        x = self.act3(self.bn3(self.conv3(x)))
        x = self.act4(self.bn4(self.conv4(x)))
        return self.fc(self.global_pool(x).flatten(1))  # type: ignore[no-any-return]
