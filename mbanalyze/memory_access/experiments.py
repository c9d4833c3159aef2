"""The four experiments behind ShuffleNet V2's guidelines: what they compute, and the printed speeds.

Each is a series of networks, ten equal blocks on a 56 x 56 image, meant to have the same multiply-accumulates:
arXiv:1807.11164, Tables 1 to 4. Three things the paper does not print are read as follows. A block of `f`
fragments (Table 3) has `f` 1x1 convolutions of `c / sqrt(f)` channels, cut off, one after the other or side by
side and added. A bottleneck (Table 4) is a quarter as wide inside. Its image has 56 x 56 pixels, as the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from mbanalyze import data, layers
from mbanalyze.inputs.parsing import parse_option
from mbanalyze.ops.cost import Cost, total

SIZE = 56
BLOCKS = 10
TITLES = {
    "G1": "equal channel widths access least memory (Table 1)",
    "G2": "groups raise memory access (Table 2)",
    "G3": "fragments cost speed (Table 3)",
    "G4": "element-wise operators are not free (Table 4)",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One printed measurement.

    Attributes:
        guideline, setting: "G1", "1:2".
        platform: "GPU" (GTX 1080 Ti, batches a second) or "ARM" (Snapdragon 810, images a second).
        scale: how many times as wide as the first measurement of the setting.
        channels: of the block's input, and of the other side of a pair.
        options: what else the block depends on.
        speed: as printed.
        source: paper and table.
    """

    guideline: str
    setting: str
    platform: str
    scale: int
    channels: tuple[int, int]
    options: Mapping[str, Any]
    speed: float
    source: str

    @property
    def block(self) -> Cost:
        """What one of its ten blocks costs, by the paper's formulas."""
        return BLOCK[self.guideline](*self.channels, **self.options)

    @property
    def buildable(self) -> bool:
        """Whether its groups divide its channels, which 8 and 180 on ARM do not."""
        return all(c % self.options.get("groups", 1) == 0 for c in self.channels)


class Runs(tuple[Run, ...]):
    """Printed measurements: a tuple that a notebook shows as the tables of their guidelines."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from mbanalyze.memory_access.view import experiments_html

        return experiments_html(guidelines={run.guideline for run in self})


def _pair(c1: int, c2: int) -> Cost:
    return layers.pointwise_conv(SIZE, c1, c2, bias=False) + layers.pointwise_conv(SIZE, c2, c1, bias=False)


def _grouped(c1: int, c2: int, groups: int) -> Cost:
    """By section 2, G2, whose formula takes channels that the groups do not divide."""
    image, weights = SIZE * SIZE, c1 * c2 // groups
    macs = image * weights
    return Cost(weights, macs, 2 * macs, image * c2, image * c1 + weights, image * c2)


def fragment_channels(c: int, fragments: int) -> int:
    """Channels of each of `fragments` 1x1 convolutions that together cost what one of `c` channels does."""
    return isqrt(c * c // fragments)


def _fragments(c: int, _: int, fragments: int, parallel: bool) -> Cost:
    narrow = fragment_channels(c, fragments)
    convolutions = [layers.pointwise_conv(SIZE, narrow, narrow, bias=False)] * fragments
    additions = [layers.elementwise("add", SIZE, narrow, inputs=2)] * (fragments - 1) * parallel
    return total([*convolutions, *additions])


def _bottleneck(c: int, _: int, relu: bool, shortcut: bool) -> Cost:
    inner = c // 4
    parts = [
        layers.pointwise_conv(SIZE, c, inner, bias=False),
        layers.conv(SIZE, inner, inner, 3, padding=1, bias=False),
        layers.pointwise_conv(SIZE, inner, c, bias=False),
    ]
    if relu:
        parts += [layers.elementwise("relu", SIZE, channels) for channels in (inner, inner, c)]
    if shortcut:
        parts.append(layers.elementwise("add", SIZE, c, inputs=2))
    return total(parts)


BLOCK: dict[str, Callable[..., Cost]] = {"G1": _pair, "G2": _grouped, "G3": _fragments, "G4": _bottleneck}
"""Guideline -> what a block of its experiment costs, from its channels and options."""


@functools.cache
def runs() -> Runs:
    """Every printed measurement, guideline by guideline."""
    return Runs(
        Run(
            row["guideline"],
            row["setting"],
            row["platform"],
            int(row["scale"]),
            (int(row["c1"]), int(row["c2"])),
            dict(map(parse_option, row["options"].split())),
            float(row["speed"]),
            row["source"],
        )
        for row in data.read_table("guidelines.csv")
    )


def series(guideline: str, platform: str, scale: int) -> Runs:
    """The runs that are to be compared: of all settings, the one on this platform at this scale."""
    return Runs(
        run for run in runs() if (run.guideline, run.platform, run.scale) == (guideline, platform, scale)
    )


def records() -> list[dict[str, Any]]:
    """Each printed measurement beside what its block costs, and both relative to the first of its series.

    `macs_change` is how far from constant the multiply-accumulates are; `predicted` the relative speed if
    memory access alone decided, `relative_speed` the printed one.
    """
    return [_record(run, series(run.guideline, run.platform, run.scale)[0]) for run in runs()]


def _record(run: Run, first: Run) -> dict[str, Any]:
    here, there = run.block, first.block
    return {
        "guideline": run.guideline,
        "setting": run.setting,
        "platform": run.platform,
        "scale": run.scale,
        "c1": run.channels[0],
        "c2": run.channels[1],
        "macs": here.macs,
        "macs_change": (here.macs or 0) / (there.macs or 1) - 1,
        "memory_access": here.memory_access,
        "predicted": there.memory_access / here.memory_access,
        "speed": run.speed,
        "relative_speed": run.speed / first.speed,
        "source": run.source,
    }
