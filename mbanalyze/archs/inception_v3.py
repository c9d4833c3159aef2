"""Inception V3: Szegedy et al., Rethinking the Inception Architecture, 2015, arXiv:1512.00567."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, parameter_names
from mbanalyze.archs.builder import Pair, Sketch, pair
from mbanalyze.ops.record import Op, Value


class Unit(NamedTuple):
    """Convolution, batch norm and ReLU under one name; without padding it shrinks the image."""

    name: str
    channels: int
    kernel: Pair
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> Pair:
        """What keeps the size of an image at stride 1, or nothing."""
        h, w = pair(self.kernel)
        return (h // 2, w // 2) if self.padded else 0


# a branch is units one after the other; a tuple of units in it is run side by side and concatenated
Branch = Sequence[Unit | tuple[Unit, ...]]


class Mixed(NamedTuple):
    """A module of parallel branches, and one that pools: by average, then a unit, or by maximum at stride 2."""

    name: str
    branches: Sequence[Branch]
    pool: Unit | None


def a(name: str, pooled: int) -> Mixed:
    """The paper's Figure 5."""
    branches = (
        (Unit("branch1x1", 64, 1),),
        (Unit("branch5x5_1", 48, 1), Unit("branch5x5_2", 64, 5)),
        (Unit("branch3x3dbl_1", 64, 1), Unit("branch3x3dbl_2", 96, 3), Unit("branch3x3dbl_3", 96, 3)),
    )
    return Mixed(name, branches, Unit("branch_pool", pooled, 1))


def b(name: str) -> Mixed:
    """The paper's Figure 10, from 35 to 17."""
    branches = (
        (Unit("branch3x3", 384, 3, 2, False),),
        (
            Unit("branch3x3dbl_1", 64, 1),
            Unit("branch3x3dbl_2", 96, 3),
            Unit("branch3x3dbl_3", 96, 3, 2, False),
        ),
    )
    return Mixed(name, branches, None)


def c(name: str, c7: int) -> Mixed:
    """The paper's Figure 6 with n = 7."""
    branches = (
        (Unit("branch1x1", 192, 1),),
        (
            Unit("branch7x7_1", c7, 1),
            Unit("branch7x7_2", c7, (1, 7)),
            Unit("branch7x7_3", 192, (7, 1)),
        ),
        (
            Unit("branch7x7dbl_1", c7, 1),
            Unit("branch7x7dbl_2", c7, (7, 1)),
            Unit("branch7x7dbl_3", c7, (1, 7)),
            Unit("branch7x7dbl_4", c7, (7, 1)),
            Unit("branch7x7dbl_5", 192, (1, 7)),
        ),
    )
    return Mixed(name, branches, Unit("branch_pool", 192, 1))


def d(name: str) -> Mixed:
    """From 17 to 8."""
    branches = (
        (Unit("branch3x3_1", 192, 1), Unit("branch3x3_2", 320, 3, 2, False)),
        (
            Unit("branch7x7x3_1", 192, 1),
            Unit("branch7x7x3_2", 192, (1, 7)),
            Unit("branch7x7x3_3", 192, (7, 1)),
            Unit("branch7x7x3_4", 192, 3, 2, False),
        ),
    )
    return Mixed(name, branches, None)


def e(name: str) -> Mixed:
    """The paper's Figure 7."""
    branches = (
        (Unit("branch1x1", 320, 1),),
        (
            Unit("branch3x3_1", 384, 1),
            (Unit("branch3x3_2a", 384, (1, 3)), Unit("branch3x3_2b", 384, (3, 1))),
        ),
        (
            Unit("branch3x3dbl_1", 448, 1),
            Unit("branch3x3dbl_2", 384, 3),
            (Unit("branch3x3dbl_3a", 384, (1, 3)), Unit("branch3x3dbl_3b", 384, (3, 1))),
        ),
    )
    return Mixed(name, branches, Unit("branch_pool", 192, 1))


STEM = (
    Unit("Conv2d_1a_3x3", 32, 3, 2, False),
    Unit("Conv2d_2a_3x3", 32, 3, 1, False),
    Unit("Conv2d_2b_3x3", 64, 3),
    "maxpool1",
    Unit("Conv2d_3b_1x1", 80, 1),
    Unit("Conv2d_4a_3x3", 192, 3, 1, False),
    "maxpool2",
)
MODULES = (
    a("Mixed_5b", 32),
    a("Mixed_5c", 64),
    a("Mixed_5d", 64),
    b("Mixed_6a"),
    c("Mixed_6b", 128),
    c("Mixed_6c", 160),
    c("Mixed_6d", 160),
    c("Mixed_6e", 192),
    d("Mixed_7a"),
    e("Mixed_7b"),
    e("Mixed_7c"),
)
# the auxiliary classifier sees the 768 channels of Mixed_6e in training
AUX_INPUT, AUX = 768, (Unit("conv0", 128, 1), Unit("conv1", 768, 5, 1, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV3:
    """Factorised convolutions in parallel branches: the paper's Table 1, as torchvision has it.

    The auxiliary classifier runs in training alone: `aux` adds parameters that a forward pass does not read.
    """

    paper: ClassVar[str] = "Inception V3, arXiv:1512.00567"

    resolution: int = options.resolution(299)
    num_classes: int = options.num_classes()
    aux: bool = options.option(True, "have the auxiliary classifier, which only training runs")

    def __post_init__(self) -> None:
        options.check(self)

    def ops(self, batch: int = 1) -> list[Op]:
        """Every operator of a forward pass on `batch` images, in order."""
        sketch = Sketch()
        x = sketch.input(batch, 3, self.resolution, self.resolution)
        for part in STEM:
            x = (
                sketch.pool("max", x, 3, stride=2, name=part)
                if isinstance(part, str)
                else _unit(sketch, x, part)
            )
        for mixed in MODULES:
            with sketch.at(mixed.name):
                x = _mixed(sketch, x, mixed)
        x = sketch.flatten(sketch.global_avg_pool(x, name="avgpool"))
        sketch.linear(x, self.num_classes, name="fc")
        return sketch.ops

    def unused_params(self) -> tuple[str, ...]:
        """Names of the parameters that inference does not read: those of the auxiliary classifier."""
        if not self.aux:
            return ()
        sketch = Sketch()
        with sketch.at("AuxLogits"):
            x = sketch.input(1, AUX_INPUT, 5, 5)
            for unit in AUX:
                x = _unit(sketch, x, unit)
            sketch.linear(sketch.flatten(sketch.global_avg_pool(x)), self.num_classes, name="fc")
        return tuple(parameter_names(sketch.ops))


def _unit(sketch: Sketch, x: Value, unit: Unit) -> Value:
    with sketch.at(unit.name):
        return conv_unit(
            sketch,
            x,
            unit.channels,
            unit.kernel,
            "relu",
            stride=unit.stride,
            padding=unit.padding,
            names=("conv", "bn", ""),
        )


def _mixed(sketch: Sketch, x: Value, mixed: Mixed) -> Value:
    outs = [_branch(sketch, x, branch) for branch in mixed.branches]
    if mixed.pool is None:
        outs.append(sketch.pool("max", x, 3, stride=2))
    else:
        pooled = sketch.pool("avg", x, 3, stride=1, padding=1)
        outs.append(_unit(sketch, pooled, mixed.pool))
    return sketch.cat(*outs)


def _branch(sketch: Sketch, x: Value, branch: Branch) -> Value:
    for part in branch:
        if isinstance(part, Unit):
            x = _unit(sketch, x, part)
        else:
            x = sketch.cat(*(_unit(sketch, x, unit) for unit in part))
    return x
