"""Building blocks that several papers share, as modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

ActivationFactory = Callable[[], nn.Module]
NormFactory = Callable[[int], nn.Module]
ReLU: ActivationFactory = partial(nn.ReLU, inplace=True)
ReLU6: ActivationFactory = partial(nn.ReLU6, inplace=True)
HardSwish: ActivationFactory = partial(nn.Hardswish, inplace=True)


def nearest_multiple(channels: float, step: int = 8) -> int:
    """Return the multiple of `step` nearest to `channels`, or the next one if that is below 0.9 of `channels`."""
    steps = max(int(channels + step / 2) // step, 1)
    width = steps * step
    return width + step if width < 0.9 * channels else width


class ConvUnit(nn.Sequential):
    """A padded convolution without bias, a batch norm, and an activation unless it is None."""

    def __init__(
        self,
        inp: int,
        oup: int,
        kernel: int,
        activation: ActivationFactory | None,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: NormFactory = nn.BatchNorm2d,
    ) -> None:
        super().__init__(
            nn.Conv2d(inp, oup, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            norm(oup),
            *([] if activation is None else [activation()]),
        )


class ConvNormReLU(nn.Module):
    """A convolution without bias, a batch norm and a ReLU, with the Inception networks' parameter names."""

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
        """Map `[n, inp, h, w]` to `[n, oup, h', w']`."""
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a factor computed from the means of all channels: arXiv:1709.01507."""

    def __init__(self, channels: int, squeezed: int, gate: ActivationFactory = nn.Sigmoid) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Map `x` to a tensor of the same shape."""
        factors: Tensor = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return self.scale_activation(factors) * x  # type: ignore[no-any-return]


def inverted_residual(
    inp: int,
    hidden: int,
    oup: int,
    activation: ActivationFactory,
    *,
    kernel: int = 3,
    stride: int = 1,
    squeezed: int | None = None,
    norm: NormFactory = nn.BatchNorm2d,
) -> list[nn.Module]:
    """Return the parts of an inverted residual: expansion, depthwise convolution, squeeze-and-excitation, projection."""
    parts: list[nn.Module] = []
    if hidden != inp:
        parts.append(ConvUnit(inp, hidden, 1, activation, norm=norm))
    parts.append(ConvUnit(hidden, hidden, kernel, activation, stride=stride, groups=hidden, norm=norm))
    if squeezed is not None:
        parts.append(SqueezeExcitation(hidden, squeezed, nn.Hardsigmoid))
    return [*parts, ConvUnit(hidden, oup, 1, None, norm=norm)]


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of all groups: `[n, c, h, w]` to the same shape."""
    if groups == 1:
        return x
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Fire(nn.Module):
    """SqueezeNet's Fire module: a 1x1 squeeze, then parallel 1x1 and 3x3 filters; `bypass` adds the input."""

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
        """Map `[n, inp, h, w]` to `[n, 2 expanded, h, w]`."""
        squeezed = self.squeeze_activation(self.squeeze(x))
        ones = self.expand1x1_activation(self.expand1x1(squeezed))
        threes = self.expand3x3_activation(self.expand3x3(squeezed))
        out = torch.cat([ones, threes], 1)
        return out if self.bypass is None else self.bypass(x) + out


class SeparableConv(nn.Module):
    """Xception's separable convolution: depthwise, then pointwise, without bias or activation."""

    def __init__(self, inp: int, oup: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inp, inp, kernel, padding=kernel // 2, groups=inp, bias=False)
        self.pointwise = nn.Conv2d(inp, oup, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[n, inp, h, w]` to `[n, oup, h, w]`."""
        return self.pointwise(self.conv1(x))  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Initialise a convolution by its fan-out and a linear layer with small weights; set biases to zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
