"""GoogLeNet with batch norm, as in torchvision: Szegedy et al., Going deeper with convolutions, 2014, arXiv:1409.4842."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, parameter_names
from mbanalyze.archs.builder import Builder
from mbanalyze.ops.record import Value

# name: filters of the 1x1 branch, the 3x3 branch (reduced, final), the 5x5 branch (reduced, final) and the
# pooling branch (the paper's Table 1)
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# module: number and window of the max pooling that follows it
POOLINGS = {"3b": (3, 3), "4e": (4, 2)}
# module: auxiliary classifier on its output, which runs only in training
AUX_CLASSIFIERS = {"4a": "aux1", "4d": "aux2"}
# an auxiliary classifier: pooled size, filters, hidden features
AUX_SHAPE = (4, 128, 1024)
UNIT_NAMES = ("conv", "bn", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogLeNet(options.Architecture):
    """Inception modules of four parallel branches: the paper's Table 1.

    The third branch has a 3x3 window in torchvision and a 5x5 window in the paper.
    `aux` adds the auxiliary classifiers; they run only in training, so inference does not read their parameters.
    """

    paper = "GoogLeNet, arXiv:1409.4842"

    resolution: int | tuple[int, int] = options.resolution()
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    branch: Literal["3x3", "5x5"] = options.option("3x3", "window of the third branch; 5x5 in the paper")
    aux: bool = options.option(True, "add the auxiliary classifiers, which run only in training")

    def _forward(self, builder: Builder, x: Value) -> None:
        with builder.scope("conv1"):
            x = conv_unit(builder, x, 64, 7, "relu", stride=2, names=UNIT_NAMES)
        x = builder.pool("max", x, 3, stride=2, ceil=True, name="maxpool1")
        with builder.scope("conv2"):
            x = conv_unit(builder, x, 64, 1, "relu", names=UNIT_NAMES)
        with builder.scope("conv3"):
            x = conv_unit(builder, x, 192, 3, "relu", names=UNIT_NAMES)
        x = builder.pool("max", x, 3, stride=2, ceil=True, name="maxpool2")
        for name, filters in MODULES.items():
            with builder.scope(f"inception{name}"):
                x = _module(builder, x, filters, 3 if self.branch == "3x3" else 5)
            if name in POOLINGS:
                number, window = POOLINGS[name]
                x = builder.pool("max", x, window, stride=2, ceil=True, name=f"maxpool{number}")
            if self.aux and builder.training and name in AUX_CLASSIFIERS:
                with builder.scope(AUX_CLASSIFIERS[name]):
                    self._auxiliary(builder, x)
        x = builder.flatten(builder.global_avg_pool(x, name="avgpool"))
        builder.linear(builder.dropout(x, name="dropout"), self.num_classes, name="fc")

    def unused_params(self) -> tuple[str, ...]:
        """Return the names of the auxiliary classifiers' parameters, which inference does not read."""
        builder = Builder()
        for module, name in AUX_CLASSIFIERS.items() if self.aux else ():
            one, _, three, _, five, pooled = MODULES[module]
            with builder.scope(name):
                self._auxiliary(builder, builder.input(1, one + three + five + pooled, 14, 14))
        return tuple(parameter_names(builder.ops))

    def _auxiliary(self, builder: Builder, x: Value) -> None:
        size, filters, hidden = AUX_SHAPE
        x = builder.adaptive_avg_pool(x, size)
        with builder.scope("conv"):
            x = conv_unit(builder, x, filters, 1, "relu", names=UNIT_NAMES)
        x = builder.elementwise("relu", builder.linear(builder.flatten(x), hidden, name="fc1"))
        builder.linear(builder.dropout(x, name="dropout"), self.num_classes, name="fc2")


def _module(builder: Builder, x: Value, filters: tuple[int, ...], window: int) -> Value:
    one, three_reduced, three, five_reduced, five, pooled = filters

    def unit(name: str, y: Value, channels: int, kernel: int) -> Value:
        with builder.scope(name):
            return conv_unit(builder, y, channels, kernel, "relu", names=UNIT_NAMES)

    branches = [
        unit("branch1", x, one, 1),
        unit("branch2.1", unit("branch2.0", x, three_reduced, 1), three, 3),
        unit("branch3.1", unit("branch3.0", x, five_reduced, 1), five, window),
        unit("branch4.1", builder.pool("max", x, 3, stride=1, padding=1, name="branch4.0"), pooled, 1),
    ]
    return builder.cat(*branches)
