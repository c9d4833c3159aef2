"""AlexNet: Krizhevsky et al., ImageNet Classification with Deep CNNs, 2012; and One weird trick, arXiv:1404.5997."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from mbanalyze.archs import options
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value


class Layer(NamedTuple):
    """A convolution with ReLU, and what follows it."""

    channels: int
    kernel: int
    stride: int
    padding: int
    groups: int
    normalised: bool
    pooled: bool


# one tower, arXiv:1404.5997, as torchvision has it
ONE_TOWER = (
    Layer(64, 11, 4, 2, 1, False, True),
    Layer(192, 5, 1, 2, 1, False, True),
    Layer(384, 3, 1, 1, 1, False, False),
    Layer(256, 3, 1, 1, 1, False, False),
    Layer(256, 3, 1, 1, 1, False, True),
)
# two towers that meet in the third layer: the paper of 2012, which needs 227 px for its 55 x 55 outputs
TWO_TOWERS = (
    Layer(96, 11, 4, 0, 1, True, True),
    Layer(256, 5, 1, 2, 2, True, True),
    Layer(384, 3, 1, 1, 1, False, False),
    Layer(384, 3, 1, 1, 2, False, False),
    Layer(256, 3, 1, 1, 2, False, True),
)
POOLED, HIDDEN = 6, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AlexNet:
    """Five convolutions and three fully connected layers.

    `grouped` is the network of 2012, with its two towers as groups and its local response normalisation.
    """

    paper: ClassVar[str] = "AlexNet, arXiv:1404.5997"

    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    grouped: bool = options.option(False, "the original of 2012, with two towers; meant for 227 px")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("features"):
            position = 0
            for layer in TWO_TOWERS if self.grouped else ONE_TOWER:
                x, position = _layer(sketch, x, layer, position)
        x = sketch.flatten(sketch.adaptive_avg_pool(x, POOLED, name="avgpool"))
        with sketch.at("classifier"):
            for position in (1, 4):
                x = sketch.linear(x, HIDDEN, name=position)
                x = sketch.elementwise("relu", x, name=position + 1)
            sketch.linear(x, self.num_classes, name=6)
        return sketch.ops


def _layer(sketch: Sketch, x: Value, layer: Layer, position: int) -> tuple[Value, int]:
    x = sketch.conv(
        x,
        layer.channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        bias=True,
        name=position,
    )
    x = sketch.elementwise("relu", x, name=position + 1)
    position += 2
    if layer.normalised:
        x = sketch.local_response_norm(x, name=position)
        position += 1
    if layer.pooled:
        x = sketch.pool("max", x, 3, stride=2, name=position)
        position += 1
    return x, position
