"""SqueezeNet: Iandola et al., SqueezeNet, 2016, arXiv:1602.07360; version 1.1 from the authors' repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import fire
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

# s, e: squeezed channels and filters of each expansion in the Fire modules 2 to 9 (the paper's Table 1)
FIRE_MODULES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
# filters and kernel of the first convolution; indices of the Fire modules that follow a max pooling
VERSION_1_0 = ((96, 7), (0, 3, 7))
VERSION_1_1 = ((64, 3), (0, 2, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet(options.Architecture):
    """The network of both versions: the paper's Table 1, and the bypasses of its Figure 2."""

    paper = "SqueezeNet, arXiv:1602.07360"
    version: ClassVar[tuple[tuple[int, int], tuple[int, ...]]]

    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    bypass: Literal["none", "simple", "complex"] = options.option(
        "none",
        "add a Fire module's input: simple, if channels agree; complex, always, by a 1x1 convolution if they differ",
    )

    def _forward(self, builder: Builder, x: Value) -> None:
        (filters, kernel), pools = self.version
        with builder.scope("features"):
            x = builder.conv(x, filters, kernel, stride=2, bias=True, name=0)
            x = builder.elementwise("relu", x, name=1)
            position = 2
            for i, (squeezed, expanded) in enumerate(FIRE_MODULES):
                if i in pools:
                    x = builder.pool("max", x, 3, stride=2, ceil=True, name=position)
                    position += 1
                with builder.scope(position):
                    x = self._fire(builder, x, squeezed, expanded)
                position += 1
        with builder.scope("classifier"):
            x = builder.conv(builder.dropout(x, name=0), self.num_classes, 1, bias=True, name=1)
            x = builder.elementwise("relu", x, name=2)
            builder.global_avg_pool(x, name=3)

    def _fire(self, builder: Builder, x: Value, squeezed: int, expanded: int) -> Value:
        out = fire(builder, x, squeezed, expanded)
        if x.shape[1] == out.shape[1]:
            return out if self.bypass == "none" else builder.elementwise("add", x, out)
        if self.bypass != "complex":
            return out
        return builder.elementwise("add", builder.conv(x, out.shape[1], 1, bias=True, name="bypass"), out)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet1_0(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """SqueezeNet 1.0: the paper's network."""

    version = VERSION_1_0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet1_1(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """SqueezeNet 1.1, from the authors' repository: a smaller first convolution and earlier pooling."""

    version = VERSION_1_1
