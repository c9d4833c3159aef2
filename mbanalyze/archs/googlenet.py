"""GoogLeNet: Szegedy et al., Going deeper with convolutions, 2014, arXiv:1409.4842; with batch norm, as torchvision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, parameter_names
from mbanalyze.archs.builder import Sketch
from mbanalyze.ops.record import Op, Value

# name: filters of the 1x1 branch, of the 3x3 branch (reduced, final), of the 5x5 branch (reduced, final), and
# of the pooled one (the paper's Table 1)
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
# the modules that a max pooling follows: its number and window
POOLS = {"3b": (3, 3), "4e": (4, 2)}
# the auxiliary classifiers see the output of these modules in training: pooled size, filters, hidden features
AUXILIARY = {"4a": "aux1", "4d": "aux2"}
AUX_SHAPE = (4, 128, 1024)
UNIT = ("conv", "bn", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogLeNet:
    """Modules of four parallel branches: the paper's Table 1.

    torchvision's third branch has a 3x3 window where the paper's has 5x5. The auxiliary classifiers run in
    training alone: `aux` adds parameters that a forward pass does not read.
    """

    paper: ClassVar[str] = "GoogLeNet, arXiv:1409.4842"

    resolution: int = options.resolution()
    num_classes: int = options.num_classes()
    branch: Literal["3x3", "5x5"] = options.option("3x3", "window of the third branch; the paper's is 5x5")
    aux: bool = options.option(True, "have the auxiliary classifiers, which only training runs")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        with sketch.at("conv1"):
            x = conv_unit(sketch, x, 64, 7, "relu", stride=2, names=UNIT)
        x = sketch.pool("max", x, 3, stride=2, ceil=True, name="maxpool1")
        with sketch.at("conv2"):
            x = conv_unit(sketch, x, 64, 1, "relu", names=UNIT)
        with sketch.at("conv3"):
            x = conv_unit(sketch, x, 192, 3, "relu", names=UNIT)
        x = sketch.pool("max", x, 3, stride=2, ceil=True, name="maxpool2")
        for name, filters in MODULES.items():
            with sketch.at(f"inception{name}"):
                x = _module(sketch, x, filters, 3 if self.branch == "3x3" else 5)
            if name in POOLS:
                number, window = POOLS[name]
                x = sketch.pool("max", x, window, stride=2, ceil=True, name=f"maxpool{number}")
        x = sketch.flatten(sketch.global_avg_pool(x, name="avgpool"))
        sketch.linear(x, self.num_classes, name="fc")
        return sketch.ops

    def unused_params(self) -> tuple[str, ...]:
        """Names of the parameters that inference does not read: those of the auxiliary classifiers."""
        sketch = Sketch()
        for module, name in AUXILIARY.items() if self.aux else ():
            one, _, three, _, five, pooled = MODULES[module]
            with sketch.at(name):
                self._auxiliary(sketch, sketch.input(1, one + three + five + pooled, 14, 14))
        return tuple(parameter_names(sketch.ops))

    def _auxiliary(self, sketch: Sketch, x: Value) -> None:
        size, filters, hidden = AUX_SHAPE
        with sketch.at("conv"):
            x = conv_unit(sketch, sketch.adaptive_avg_pool(x, size), filters, 1, "relu", names=UNIT)
        x = sketch.linear(sketch.flatten(x), hidden, name="fc1")
        sketch.linear(sketch.elementwise("relu", x), self.num_classes, name="fc2")


def _module(sketch: Sketch, x: Value, filters: tuple[int, ...], window: int) -> Value:
    one, three_reduced, three, five_reduced, five, pooled = filters

    def unit(name: str, y: Value, channels: int, kernel: int) -> Value:
        with sketch.at(name):
            return conv_unit(sketch, y, channels, kernel, "relu", names=UNIT)

    branches = [
        unit("branch1", x, one, 1),
        unit("branch2.1", unit("branch2.0", x, three_reduced, 1), three, 3),
        unit("branch3.1", unit("branch3.0", x, five_reduced, 1), five, window),
        unit("branch4.1", sketch.pool("max", x, 3, stride=1, padding=1, name="branch4.0"), pooled, 1),
    ]
    return sketch.cat(*branches)
