"""Micro-benchmarks: modules of operators that no anchor network has, in sizes of light networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

Function = Callable[[Tensor], object]

IMAGES = ((16, 112), (24, 56), (96, 56), (144, 28), (240, 28), (96, 14), (480, 14), (672, 7), (1152, 7))
"""Channels and sizes of the images that elementwise operators take."""
VECTORS = ((16, 1), (64, 1), (480, 1))
"""Channels and sizes of the images of one pixel, which gates of squeeze and excitation take."""
SEQUENCES = ((196, 64), (49, 256), (196, 192), (49, 512), (197, 384), (784, 96))
"""Tokens and features of sequences."""

GROUPED = (
    (48, 56, (8, 16, 24)),
    (96, 28, (2, 4, 8, 16, 24, 48)),
    (192, 28, (8, 16, 24, 48, 64)),
    (256, 14, (2, 4, 8, 16, 32, 64, 128)),
    (448, 7, (2, 4, 8, 16, 32, 56, 112)),
    (384, 14, (8, 24, 48, 96)),
)
"""Channels, size, and channels of a group."""
DEPTHWISE = ((32, 112), (96, 56), (144, 56), (144, 28), (240, 28), (480, 14), (672, 7), (960, 7))
"""Channels and sizes of depthwise convolutions."""
DENSE = (
    (16, 56, 32),
    (64, 56, 64),
    (64, 28, 96),
    (128, 14, 192),
    (192, 14, 192),
    (160, 7, 320),
    (384, 7, 384),
)
"""Input channels, size, and output channels of standard and pointwise convolutions."""
PROJECTIONS = ((256, 56, 512), (512, 28, 1024), (1024, 14, 2048), (96, 56, 24), (24, 112, 96), (960, 7, 160))
"""The same for pointwise convolutions alone."""
STEMS = ((3, 112, 16), (3, 192, 32), (3, 224, 32), (3, 224, 64), (3, 160, 24))
"""The same for convolutions of an image."""
KERNELS = ((2, 2), (3, 3), (5, 5), (7, 7), (1, 3), (3, 1), (1, 7), (7, 1))
GATED = ((32, 112, 8), (96, 56, 4), (144, 28, 6), (240, 28, 10), (480, 14, 20), (672, 14, 28), (1152, 7, 48))
"""Channels, size, and channels of the gate of squeeze and excitation."""

ACTIVATIONS: tuple[Function, ...] = (
    *(F.silu, F.gelu, F.hardswish, F.hardsigmoid, F.relu, F.relu6, F.leaky_relu, F.elu, F.mish, F.softplus),
    *(F.selu, torch.sigmoid, torch.tanh, torch.exp, torch.abs, torch.neg, torch.sqrt, torch.rsqrt),
    *(torch.square, torch.log, torch.erf, torch.clone, torch.reciprocal, torch.sin, torch.cos),
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: x.clamp(0, 1),
    lambda x: x.pow(3),
    lambda x: F.glu(x, 1),
    lambda x: x.masked_fill(x > 1, 0.0),
)
BINARY: tuple[Callable[[Tensor, Tensor], object], ...] = (
    *(torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum),
    lambda x, y: torch.cat((x, y), 1),
    lambda x, y: torch.where(x > y, x, y),
    lambda x, y: ~((x == y) | (x != y)),
    lambda x, y: x + y.mean((2, 3), keepdim=True),
)
REGIONS: tuple[Function, ...] = (
    lambda x: F.max_pool2d(x, 3, 2, 1),
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.avg_pool2d(x, 2),
    lambda x: F.avg_pool2d(x, 3, 1, 1),
    lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.adaptive_avg_pool2d(x, 4),
    lambda x: F.adaptive_max_pool2d(x, 4),
    lambda x: x.mean((2, 3)),
    lambda x: x.sum((2, 3)),
    lambda x: x.amax((2, 3)),
    lambda x: F.pad(x, (1, 1, 1, 1)),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    lambda x: F.pixel_shuffle(x, 1),
    lambda x: x.roll((2, 2), (2, 3)),
    lambda x: x.permute(0, 2, 3, 1).contiguous(),
    lambda x: F.group_norm(x, 8),
    F.instance_norm,
    lambda x: F.softmax(x, 1),
    lambda x: F.log_softmax(x, 1),
    F.normalize,
    lambda x: F.unfold(x, 3, padding=1),
    lambda x: x.cumsum(1),
    lambda x: x[:, torch.arange(x.shape[1], device=x.device)],
)


class Layers(nn.Module):
    """Layers with images of their own sizes: a pointwise convolution writes the image that a layer reads."""

    def __init__(self, layers: Iterable[tuple[nn.Module, int, int]]) -> None:
        """Take each layer with its input channels and size."""
        super().__init__()
        self.sizes: list[tuple[int, int]] = []
        self.before, self.layers = nn.ModuleList(), nn.ModuleList()
        for layer, channels, size in layers:
            self.sizes.append((channels, size))
            self.before.append(nn.Conv2d(channels, channels, 1))
            self.layers.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Run every layer; `x` gives the element type and the device."""
        for before, layer, (channels, size) in zip(self.before, self.layers, self.sizes, strict=True):
            layer(before(x.new_ones(1, channels, size, size)))
        return x


class Functions(nn.Module):
    """Functions of images and sequences; each reads a tensor that was just written."""

    def forward(self, x: Tensor) -> Tensor:
        """Run every function; `x` gives the element type and the device."""
        for channels, size in (*IMAGES, *VECTORS):
            image = x.new_ones(1, channels, size, size)
            for function in ACTIVATIONS:
                function(image * 2)
            for binary in BINARY:
                binary(image * 2, image * 3)
        for channels, size in IMAGES:
            image = x.new_ones(1, channels, size, size)
            for function in REGIONS:
                function(image * 2)
        return x


class Gates(nn.Module):
    """Squeeze and excitation, as in MobileNetV3 and EfficientNet."""

    def __init__(self) -> None:
        """Make the two convolutions of each gate."""
        super().__init__()
        self.squeeze = nn.ModuleList(nn.Conv2d(c, gate, 1) for c, _, gate in GATED)
        self.excite = nn.ModuleList(nn.Conv2d(gate, c, 1) for c, _, gate in GATED)

    def forward(self, x: Tensor) -> Tensor:
        """Run every gate; `x` gives the element type and the device."""
        for squeeze, excite, (channels, size, _) in zip(self.squeeze, self.excite, GATED, strict=True):
            image = x.new_ones(1, channels, size, size) * 2
            gate = excite(F.silu(squeeze(F.adaptive_avg_pool2d(image, 1))))
            image = image * torch.sigmoid(gate)
            gate = excite(F.relu(squeeze(image.mean((2, 3), keepdim=True))))
            image.mul_(F.hardsigmoid(gate))
        return x


class Transformers(nn.Module):
    """The operators of a block of a transformer, on sequences of several sizes."""

    def __init__(self) -> None:
        """Make the layers of each size."""
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _, features in SEQUENCES)
        self.wide = nn.ModuleList(nn.Linear(features, 3 * features) for _, features in SEQUENCES)
        self.narrow = nn.ModuleList(nn.Linear(3 * features, features) for _, features in SEQUENCES)
        self.scales = nn.ModuleList(nn.RMSNorm(features) for _, features in SEQUENCES)

    def forward(self, x: Tensor) -> Tensor:
        """Run every size; `x` gives the element type and the device."""
        layers = zip(SEQUENCES, self.norms, self.wide, self.narrow, self.scales, strict=True)
        for (tokens, features), norm, wide, narrow, scale in layers:
            y = wide(scale(norm(x.new_ones(1, tokens, features))))
            heads = y.view(1, tokens, 3, features // 32, 32).permute(2, 0, 3, 1, 4)
            q, k, v = heads.unbind(0)
            F.scaled_dot_product_attention(q, k, v)
            scores = torch.softmax((q * 0.2) @ k.transpose(-2, -1), -1) @ v
            y = narrow(F.gelu(y)) + scores.transpose(1, 2).reshape(1, tokens, features)
            y.mean(1)
        return x


def probes() -> dict[str, nn.Module]:
    """Return the modules, each of which takes a tensor of any shape for its element type and device."""
    return {
        "grouped convolutions": Layers(
            (nn.Conv2d(c, c, 3, stride, 1, groups=c // width), c, size)
            for c, size, widths in GROUPED
            for width in widths
            for stride in (1, 2)
        ),
        "depthwise convolutions": Layers(
            (nn.Conv2d(c, c, kernel, stride, kernel // 2, groups=c), c, size)
            for c, size in DEPTHWISE
            for kernel in (1, 3, 5, 7)
            for stride in (1, 2)
        ),
        "pointwise convolutions": Layers(
            (nn.Conv2d(c, out, 1, stride), c, size)
            for c, size, out in (*DENSE, *PROJECTIONS)
            for stride in (1, 2)
        ),
        "standard convolutions": Layers(
            (nn.Conv2d(c, out, kernel, stride, (kernel[0] // 2, kernel[1] // 2)), c, size)
            for c, size, out in DENSE
            for kernel in KERNELS
            for stride in (1, 2)
            if stride == 1 or kernel[0] == kernel[1]
        ),
        "stems": Layers(
            (nn.Conv2d(c, out, kernel, stride, kernel // 2), c, size)
            for c, size, out in STEMS
            for kernel, stride in ((3, 1), (3, 2), (4, 4), (7, 2), (11, 4))
        ),
        "functions": Functions(),
        "gates": Gates(),
        "transformers": Transformers(),
    }
