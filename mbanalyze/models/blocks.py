"""What the papers share, as modules: rounding of widths, convolution units, squeeze-and-excitation, Fire."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]
ReLU: Layer = partial(nn.ReLU, inplace=True)
ReLU6: Layer = partial(nn.ReLU6, inplace=True)
HardSwish: Layer = partial(nn.Hardswish, inplace=True)


def nearest_multiple(channels: float, step: int = 8) -> int:
    """The multiple of `step` nearest to `channels`, or the one above it if that loses over a tenth."""
    steps = max(int(channels + step / 2) // step, 1)
    width = steps * step
    return width + step if width < 0.9 * channels else width


class ConvUnit(nn.Sequential):
    """A convolution without bias that keeps the image's size at stride 1, batch norm, and an activation."""

    def __init__(
        self,
        inp: int,
        oup: int,
        kernel: int,
        activation: Layer | None,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__(
            nn.Conv2d(inp, oup, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            norm(oup),
            *([] if activation is None else [activation()]),
        )


class ConvNormReLU(nn.Module):
    """A convolution without bias, batch norm and ReLU, as the Inception networks name them."""

    def __init__(
        self,
        inp: int,
        oup: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inp, oup, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(oup, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h', w']`."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a factor computed from the means of all: arXiv:1709.01507."""

    def __init__(self, channels: int, squeezed: int, gate: Layer = nn.Sigmoid) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        factors: Tensor = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return self.scale_activation(factors) * x  # type: ignore[no-any-return]


def inverted_residual(
    inp: int,
    hidden: int,
    oup: int,
    activation: Layer,
    *,
    kernel: int = 3,
    stride: int = 1,
    squeezed: int | None = None,
    norm: Norm = nn.BatchNorm2d,
) -> list[nn.Module]:
    """The parts of an inverted residual: expand, filter each channel, weigh channels, project."""
    parts: list[nn.Module] = []
    if hidden != inp:
        parts.append(ConvUnit(inp, hidden, 1, activation, norm=norm))
    parts.append(ConvUnit(hidden, hidden, kernel, activation, stride=stride, groups=hidden, norm=norm))
    if squeezed is not None:
        parts.append(SqueezeExcitation(hidden, squeezed, nn.Hardsigmoid))
    return [*parts, ConvUnit(hidden, oup, 1, None, norm=norm)]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """`[n, c, h, w]` with the channels of all groups interleaved."""
    if groups == 1:
        return x
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Fire(nn.Module):
    """SqueezeNet's module: 1x1 down, then 1x1 and 3x3 filters side by side; `bypass` adds the input."""

    def __init__(self, inp: int, squeezed: int, expanded: int, bypass: nn.Module | None = None) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inp, squeezed, 1)
        self.squeeze_activation = ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = ReLU()
        self.bypass = bypass

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, 2 expanded, h, w]`."""
        down = self.squeeze_activation(self.squeeze(x))
        ones = self.expand1x1_activation(self.expand1x1(down))
        threes = self.expand3x3_activation(self.expand3x3(down))
        out = torch.cat([ones, threes], 1)
        return out if self.bypass is None else self.bypass(x) + out


class SeparableConv(nn.Module):
    """A depthwise convolution and a pointwise one with nothing between them: Xception's."""

    def __init__(self, inp: int, oup: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inp, inp, kernel, padding=kernel // 2, groups=inp, bias=False)
        self.pointwise = nn.Conv2d(inp, oup, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, inp, h, w]` -> `[n, oup, h, w]`."""
        return self.pointwise(self.conv1(x))  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Convolutions by fan-out, classifiers near zero, both without a bias to begin with."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
