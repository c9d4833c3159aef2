"""Inception V3: Szegedy et al., Rethinking the Inception Architecture, 2015, arXiv:1512.00567."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mbanalyze.archs import options
from mbanalyze.archs.blocks import conv_unit, parameter_names
from mbanalyze.archs.builder import Builder, Pair, pair
from mbanalyze.ops.record import Value


class Unit(NamedTuple):
    """A convolution with batch norm and ReLU; without padding it shrinks the image."""

    name: str
    channels: int
    kernel: Pair
    stride: int = 1
    padded: bool = True

    @property
    def padding(self) -> Pair:
        """The padding that keeps the image size at stride 1, or 0."""
        h, w = pair(self.kernel)
        return (h // 2, w // 2) if self.padded else 0


# a sequence of units; a tuple inside it holds parallel units, whose outputs are concatenated
Branch = Sequence[Unit | tuple[Unit, ...]]


class Mixed(NamedTuple):
    """A module of parallel branches, one of which pools.

    The pooling branch is an average pooling and the unit `pool`; if `pool` is None, a max pooling at stride 2.
    """

    name: str
    branches: Sequence[Branch]
    pool: Unit | None


def inception_a(name: str, pooled: int) -> Mixed:
    """Return a module of the paper's Figure 5."""
    branches = (
        (Unit("branch1x1", 64, 1),),
        (Unit("branch5x5_1", 48, 1), Unit("branch5x5_2", 64, 5)),
        (Unit("branch3x3dbl_1", 64, 1), Unit("branch3x3dbl_2", 96, 3), Unit("branch3x3dbl_3", 96, 3)),
    )
    return Mixed(name, branches, Unit("branch_pool", pooled, 1))


def inception_b(name: str) -> Mixed:
    """Return the module of the paper's Figure 10, which reduces 35 px to 17 px."""
    branches = (
        (Unit("branch3x3", 384, 3, 2, False),),
        (
            Unit("branch3x3dbl_1", 64, 1),
            Unit("branch3x3dbl_2", 96, 3),
            Unit("branch3x3dbl_3", 96, 3, 2, False),
        ),
    )
    return Mixed(name, branches, None)


def inception_c(name: str, c7: int) -> Mixed:
    """Return a module of the paper's Figure 6 with n = 7; the 7x7 branches have `c7` channels inside."""
    branches = (
        (Unit("branch1x1", 192, 1),),
        (Unit("branch7x7_1", c7, 1), Unit("branch7x7_2", c7, (1, 7)), Unit("branch7x7_3", 192, (7, 1))),
        (
            Unit("branch7x7dbl_1", c7, 1),
            Unit("branch7x7dbl_2", c7, (7, 1)),
            Unit("branch7x7dbl_3", c7, (1, 7)),
            Unit("branch7x7dbl_4", c7, (7, 1)),
            Unit("branch7x7dbl_5", 192, (1, 7)),
        ),
    )
    return Mixed(name, branches, Unit("branch_pool", 192, 1))


def inception_d(name: str) -> Mixed:
    """Return the module that reduces 17 px to 8 px."""
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


def inception_e(name: str) -> Mixed:
    """Return a module of the paper's Figure 7."""
    branches = (
        (Unit("branch1x1", 320, 1),),
        (Unit("branch3x3_1", 384, 1), (Unit("branch3x3_2a", 384, (1, 3)), Unit("branch3x3_2b", 384, (3, 1)))),
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
    inception_a("Mixed_5b", 32),
    inception_a("Mixed_5c", 64),
    inception_a("Mixed_5d", 64),
    inception_b("Mixed_6a"),
    inception_c("Mixed_6b", 128),
    inception_c("Mixed_6c", 160),
    inception_c("Mixed_6d", 160),
    inception_c("Mixed_6e", 192),
    inception_d("Mixed_7a"),
    inception_e("Mixed_7b"),
    inception_e("Mixed_7c"),
)
# the auxiliary classifier reads the 768 channels of this module, and runs only in training
AUX_MODULE = "Mixed_6e"
AUX_INPUT, AUX_UNITS = 768, (Unit("conv0", 128, 1), Unit("conv1", 768, 5, 1, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionV3(options.Architecture):
    """Factorised convolutions in parallel branches: the paper's Table 1, as implemented in torchvision.

    `aux` adds the auxiliary classifier; it runs only in training, so inference does not read its parameters.
    """

    paper = "Inception V3, arXiv:1512.00567"

    resolution: int | tuple[int, int] = options.resolution(299)
    in_channels: int = options.in_channels()
    num_classes: int = options.num_classes()
    aux: bool = options.option(True, "add the auxiliary classifier, which runs only in training")

    def _forward(self, builder: Builder, x: Value) -> None:
        for part in STEM:
            x = (
                builder.pool("max", x, 3, stride=2, name=part)
                if isinstance(part, str)
                else _unit(builder, x, part)
            )
        for mixed in MODULES:
            with builder.scope(mixed.name):
                x = _mixed(builder, x, mixed)
            if self.aux and builder.training and mixed.name == AUX_MODULE:
                self._auxiliary(builder, builder.pool("avg", x, 5, stride=3, name="AuxLogits"))
        x = builder.dropout(builder.global_avg_pool(x, name="avgpool"), name="dropout")
        builder.linear(builder.flatten(x), self.num_classes, name="fc")

    def unused_params(self) -> tuple[str, ...]:
        """Return the names of the auxiliary classifier's parameters, which inference does not read."""
        if not self.aux:
            return ()
        builder = Builder()
        self._auxiliary(builder, builder.input(1, AUX_INPUT, 5, 5))
        return tuple(parameter_names(builder.ops))

    def _auxiliary(self, builder: Builder, x: Value) -> None:
        """Record the auxiliary classifier on pooled images."""
        with builder.scope("AuxLogits"):
            for unit in AUX_UNITS:
                x = _unit(builder, x, unit)
            builder.linear(builder.flatten(builder.global_avg_pool(x)), self.num_classes, name="fc")


def _unit(builder: Builder, x: Value, unit: Unit) -> Value:
    with builder.scope(unit.name):
        return conv_unit(
            builder,
            x,
            unit.channels,
            unit.kernel,
            "relu",
            stride=unit.stride,
            padding=unit.padding,
            names=("conv", "bn", ""),
        )


def _mixed(builder: Builder, x: Value, mixed: Mixed) -> Value:
    outs = [_branch(builder, x, branch) for branch in mixed.branches]
    if mixed.pool is None:
        outs.append(builder.pool("max", x, 3, stride=2))
    else:
        pooled = builder.pool("avg", x, 3, stride=1, padding=1)
        outs.append(_unit(builder, pooled, mixed.pool))
    return builder.cat(*outs)


def _branch(builder: Builder, x: Value, branch: Branch) -> Value:
    for part in branch:
        if isinstance(part, Unit):
            x = _unit(builder, x, part)
        else:
            x = builder.cat(*(_unit(builder, x, unit) for unit in part))
    return x
