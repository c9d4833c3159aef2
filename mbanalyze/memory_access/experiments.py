"""The four experiments behind ShuffleNet V2's guidelines: their costs, and the printed speeds.

Each compares networks of ten equal blocks on a 56 x 56 image, designed for equal multiply-accumulates:
Ma et al., 2018, arXiv:1807.11164, Tables 1 to 4. The paper does not define the blocks of Tables 3 and 4.
A block of `f` fragments (Table 3) is assumed to have `f` 1x1 convolutions of `floor(c / sqrt(f))` channels,
in series, or in parallel and added. A bottleneck (Table 4) is assumed to have `c / 4` channels inside.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from mbanalyze import data, layers
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import parse_option
from mbanalyze.ops.cost import Cost, total

SIZE = 56
BLOCKS_PER_NETWORK = 10
TITLES = {
    "G1": "equal channel widths minimise memory access (Table 1)",
    "G2": "groups raise memory access (Table 2)",
    "G3": "fragments reduce speed (Table 3)",
    "G4": "element-wise operators are not free (Table 4)",
}
"""The finding of each experiment, by guideline."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One network of an experiment, with its printed speed.

    Attributes:
        guideline: the experiment, "G1" to "G4".
        setting: the value that the experiment varies, such as "1:2".
        platform: "GPU" (GTX 1080 Ti, batches per second) or "ARM" (Snapdragon 810, images per second).
        scale: width relative to the narrowest trial of the setting.
        channels: channels of the block's input, and of the other side of a pair.
        options: other hyper-parameters of the block.
        speed: the speed, as printed.
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
    def block_cost(self) -> Cost:
        """The cost of one of its ten blocks, by the formulas of the paper."""
        return BLOCK_COSTS[self.guideline](*self.channels, **self.options)

    @property
    def buildable(self) -> bool:
        """True if the groups divide the channels; 8 and 180 on ARM do not."""
        return all(c % self.options.get("groups", 1) == 0 for c in self.channels)


def _pair(c1: int, c2: int) -> Cost:
    return layers.pointwise_conv(SIZE, c1, c2, bias=False) + layers.pointwise_conv(SIZE, c2, c1, bias=False)


def _group(c1: int, c2: int, groups: int) -> Cost:
    """The formula of section 2, G2, which does not require that the groups divide the channels."""
    image, weights = SIZE * SIZE, c1 * c2 // groups
    macs = image * weights
    return Cost(weights, macs, 2 * macs, image * c2, image * c1 + weights, image * c2)


def fragment_channels(c: int, fragments: int) -> int:
    """Return the channels of `fragments` 1x1 convolutions that together cost as much as one of `c` channels."""
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


BLOCK_COSTS: dict[str, Callable[..., Cost]] = {"G1": _pair, "G2": _group, "G3": _fragments, "G4": _bottleneck}
"""Functions that return the cost of a block from its channels and options, by guideline."""


@functools.cache
def trials() -> tuple[Trial, ...]:
    """Return every trial, guideline by guideline."""
    return tuple(
        Trial(
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


def series(guideline: str, platform: str, scale: int) -> tuple[Trial, ...]:
    """Return the trials of an experiment on one platform at one scale: one for each setting."""
    wanted = (guideline, platform, scale)
    return tuple(trial for trial in trials() if (trial.guideline, trial.platform, trial.scale) == wanted)


@dataclass(frozen=True, slots=True)
class Timings:
    """The experiments timed on this machine.

    Attributes:
        seconds: the median time of a forward pass, by guideline and setting.
        rounds: the number of passes of each network.
        device: the device that ran them.
    """

    seconds: Mapping[tuple[str, str], float]
    rounds: int
    device: str

    def relative_speed(self, guideline: str, setting: str) -> float:
        """Return the speed relative to the first setting of the experiment."""
        first = series(guideline, "GPU", 1)[0].setting
        return self.seconds[guideline, first] / self.seconds[guideline, setting]

    def as_dict(self) -> dict[str, Any]:
        """Return the timings as a JSON document."""
        settings = [
            {"guideline": g, "setting": name, "seconds": time, "relative_speed": self.relative_speed(g, name)}
            for (g, name), time in self.seconds.items()
        ]
        return {"device": self.device, "rounds": self.rounds, "settings": settings}


@dataclass(frozen=True, repr=False)
class Experiments(Result):
    """The experiments of the paper.

    Attributes:
        guidelines: the experiments to include, keys of `TITLES`.
        timings: the experiments timed on this machine, or None.

    Raises:
        ChoiceError: unknown guideline.
    """

    guidelines: tuple[str, ...] = tuple(TITLES)
    timings: Timings | None = None

    def __post_init__(self) -> None:
        for guideline in self.guidelines:
            choose("guideline", guideline, TITLES)

    def as_dict(self) -> dict[str, Any]:
        """Return the records and the timings as a JSON document."""
        return {"records": self.records(), "measured": self.timings and self.timings.as_dict()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each trial.

        `macs_change`, `relative_speed` and `predicted` are relative to the first trial of the series.
        `predicted` is the speed if memory access alone decided.
        """
        return [
            _record(trial, series(trial.guideline, trial.platform, trial.scale)[0])
            for trial in trials()
            if trial.guideline in self.guidelines
        ]


def _record(trial: Trial, first: Trial) -> dict[str, Any]:
    cost, first_cost = trial.block_cost, first.block_cost
    return {
        "guideline": trial.guideline,
        "setting": trial.setting,
        "platform": trial.platform,
        "scale": trial.scale,
        "c1": trial.channels[0],
        "c2": trial.channels[1],
        "macs": cost.macs,
        "macs_change": (cost.macs or 0) / (first_cost.macs or 1) - 1,
        "memory_access": cost.memory_access,
        "predicted": first_cost.memory_access / cost.memory_access,
        "speed": trial.speed,
        "relative_speed": trial.speed / first.speed,
        "source": trial.source,
    }
