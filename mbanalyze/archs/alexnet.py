"""AlexNet: Krizhevsky et al., ImageNet Classification with Deep CNNs, 2012; and One weird trick, arXiv:1404.5997."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mbanalyze.archs import options
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value


class ConvLayer(NamedTuple):
    """A convolution and a ReLU, optionally followed by local response normalisation and max pooling."""

    channels: int
    kernel: int
    stride: int
    padding: int
    groups: int
    normalised: bool
    pooled: bool


# one tower: arXiv:1404.5997 and torchvision
ONE_TOWER = (
    ConvLayer(64, 11, 4, 2, 1, False, True),
    ConvLayer(192, 5, 1, 2, 1, False, True),
    ConvLayer(384, 3, 1, 1, 1, False, False),
    ConvLayer(256, 3, 1, 1, 1, False, False),
    ConvLayer(256, 3, 1, 1, 1, False, True),
)
# two towers, joined in the third layer: the paper of 2012, whose 55 x 55 outputs need an input of 227 px
TWO_TOWERS = (
    ConvLayer(96, 11, 4, 0, 1, True, True),
    ConvLayer(256, 5, 1, 2, 2, True, True),
    ConvLayer(384, 3, 1, 1, 1, False, False),
    ConvLayer(384, 3, 1, 1, 2, False, False),
    ConvLayer(256, 3, 1, 1, 2, False, True),
)
POOLED_SIZE, HIDDEN_FEATURES = 6, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class AlexNet(options.Architecture):
    """Five convolutions and three fully connected layers.

    `grouped` selects the network of 2012, with two towers (as groups) and local response normalisation.
    """

    paper = "AlexNet, arXiv:1404.5997"

    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    grouped: bool = options.option(
        False, "the original network of 2012, with two towers; designed for 227 px"
    )

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("features"):
            position = 0
            for layer in TWO_TOWERS if self.grouped else ONE_TOWER:
                x, position = _layer(builder, x, layer, position)
        x = builder.flatten(builder.adaptive_avg_pool(x, POOLED_SIZE, name="avgpool"))
        with builder.scope("classifier"):
            for position in (1, 4):
                x = builder.dropout(x, name=position - 1)
                x = builder.linear(x, HIDDEN_FEATURES, name=position)
                x = builder.elementwise("relu", x, name=position + 1)
            builder.linear(x, self.num_classes, name=6)


def _layer(builder: Builder, x: Value, layer: ConvLayer, position: int) -> tuple[Value, int]:
    x = builder.conv(
        x,
        layer.channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        bias=True,
        name=position,
    )
    x = builder.elementwise("relu", x, name=position + 1)
    position += 2
    if layer.normalised:
        x = builder.local_response_norm(x, name=position)
        position += 1
    if layer.pooled:
        x = builder.pool("max", x, 3, stride=2, name=position)
        position += 1
    return x, position
