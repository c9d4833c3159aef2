"""A space of networks: the choices of each stage, and of other options of the architecture."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, NamedTuple

from mbanalyze.archs.stage_text import Stage, spell_stages
from mbanalyze.inputs.typed import is_whole

MOST = 10**6
"""The most trials or samples, and the largest seed."""
Choices = Mapping[str, Any]
"""A choice on each axis of a space."""


class SpaceError(ValueError):
    """An unknown space or board, options that do not suit a space, or a search without limits that can be met."""


def whole(name: str, given: int | None, default: int, least: int) -> int:
    """Return a whole number that a user gives, or the default for None.

    Raises:
        SpaceError: it is no whole number from `least` to `MOST`.
    """
    number = default if given is None else given
    if not is_whole(number) or not least <= number <= MOST:
        raise SpaceError(f"{name} must be a whole number from {least} to {MOST}, not {given!r}")
    return int(number)


class StageChoices(NamedTuple):
    """The choices of a stage, each not empty.

    Attributes:
        kernels: sides of the depthwise kernels.
        expansions: channels of the depthwise convolutions, as multiples of a block's input channels.
        depths: numbers of blocks.
        widths: output channels, before the width multiplier.
    """

    kernels: tuple[int, ...]
    expansions: tuple[int | float, ...]
    depths: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """Networks of one architecture.

    Attributes:
        name: its name.
        architecture: the name of the architecture, which has the option `stages`.
        stages: the choices of each stage.
        options: the choices of other options of the architecture, such as `alpha` and `resolution`.
        source: the papers whose choices these are.
    """

    name: str
    architecture: str
    stages: tuple[StageChoices, ...]
    options: Mapping[str, tuple[Any, ...]]
    source: str = ""

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The choices by axis: `alpha`, `resolution` and other options, then `kernel1`, `expansion1` and so on."""
        staged = {
            f"{name}{i}": choices
            for i, stage in enumerate(self.stages, 1)
            for name, choices in zip(_PARTS, stage, strict=True)
        }
        return {**self.options, **staged}

    @property
    def size(self) -> int:
        """The number of its networks."""
        return prod(map(len, self.axes.values()))

    def options_of(self, choices: Choices) -> dict[str, Any]:
        """Return the options of the network with these choices: those of the architecture, and `stages`."""
        stages = [
            Stage((kernel,) * depth, (expansion,) * depth, width)
            for i in range(1, len(self.stages) + 1)
            for kernel, expansion, depth, width in [[choices[f"{name}{i}"] for name in _PARTS]]
        ]
        return {**{name: choices[name] for name in self.options}, "stages": spell_stages(stages)}

    def every(self) -> Iterator[dict[str, Any]]:
        """Yield the choices of every network."""
        axes = self.axes
        for values in product(*axes.values()):
            yield dict(zip(axes, values, strict=True))

    def draw(self, random: random.Random) -> dict[str, Any]:
        """Return the choices of a random network; each axis is uniform."""
        return {name: random.choice(choices) for name, choices in self.axes.items()}


_PARTS = ("kernel", "expansion", "depth", "width")
"""The names of the axes of a stage, in the order of `StageChoices`."""
