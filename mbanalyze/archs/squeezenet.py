"""SqueezeNet: Iandola et al., SqueezeNet, 2016, arXiv:1602.07360; version 1.1 from the authors' repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import fire
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value

# s, e: squeezed channels, and filters of each expansion, of the Fire modules 2 to 9 (the paper's Table 1)
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
# filters and kernel of the first convolution; the Fire modules that a max pooling comes before
VERSION_1_0 = ((96, 7), (0, 3, 7))
VERSION_1_1 = ((64, 3), (0, 2, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet:
    """What the two versions share: the paper's Table 1, and the bypasses of its Figure 2."""

    paper: ClassVar[str] = "SqueezeNet, arXiv:1602.07360"
    version: ClassVar[tuple[tuple[int, int], tuple[int, ...]]]

    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    bypass: Literal["none", "simple", "complex"] = options.option(
        "none", "add a module's input: where channels agree, or everywhere, by a 1x1 convolution elsewhere"
    )

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        (filters, kernel), pools = self.version
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            x = sketch.conv(x, filters, kernel, stride=2, bias=True, name=0)
            x = sketch.elementwise("relu", x, name=1)
            position = 2
            for i, (squeezed, expanded) in enumerate(FIRES):
                if i in pools:
                    x = sketch.pool("max", x, 3, stride=2, ceil=True, name=position)
                    position += 1
                with sketch.at(position):
                    x = self._fire(sketch, x, squeezed, expanded)
                position += 1
        with sketch.at("classifier"):
            x = sketch.conv(x, self.num_classes, 1, bias=True, name=1)
            x = sketch.elementwise("relu", x, name=2)
            sketch.global_avg_pool(x, name=3)
        return sketch.ops

    def _fire(self, sketch: Sketch, x: Value, squeezed: int, expanded: int) -> Value:
        out = fire(sketch, x, squeezed, expanded)
        if x.shape[1] == out.shape[1]:
            return out if self.bypass == "none" else sketch.elementwise("add", x, out)
        if self.bypass != "complex":
            return out
        return sketch.elementwise("add", sketch.conv(x, out.shape[1], 1, bias=True, name="bypass"), out)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet1_0(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """The paper's network."""

    version = VERSION_1_0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeNet1_1(SqueezeNet):  # noqa: N801 (the version is part of the name)
    """The authors' later one: a smaller first convolution, and pooling earlier."""

    version = VERSION_1_1
