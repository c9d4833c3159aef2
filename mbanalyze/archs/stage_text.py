"""The option `stages`: the stages of a network as text, such as `k3e1d1c16-k5e6d2c24`, in place of the paper's table.

Each stage is `k` kernel, `e` expansion, `d` depth, `c` channels. The depth is the number of blocks.
Kernels and expansions that differ between the blocks of a stage are joined by `+`: `k3e4+3d2c24`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mbanalyze.archs.options import MAX_VALUE, OptionError, option

EXAMPLE = "k3e6d2c24"
"""A stage of two blocks: 3x3 kernels, six times the input's channels inside, 24 output channels."""
MAX_DEPTH = 100
"""The largest number of blocks of a stage."""

_NUMBER = r"[0-9]{1,10}(?:\.[0-9]{1,6})?"
_LIST = rf"{_NUMBER}(?:\+{_NUMBER})*"
_STAGE = re.compile(rf"k({_LIST})e({_LIST})d([0-9]{{1,10}})c([0-9]{{1,10}})", re.ASCII)


class Stage(NamedTuple):
    """Consecutive blocks with the same output channels.

    Attributes:
        kernels: the side of each block's depthwise kernel, which is odd.
        expansions: the channels of each block's depthwise convolution, as a multiple of the block's input channels.
        channels: the output channels, before the width multiplier.
    """

    kernels: tuple[int, ...]
    expansions: tuple[int | float, ...]
    channels: int

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self.kernels)

    @property
    def text(self) -> str:
        """The stage as the option spells it; equal numbers of all blocks are written once."""
        return f"k{_joined(self.kernels)}e{_joined(self.expansions)}d{self.depth}c{self.channels}"


class StageBlock(NamedTuple):
    """A block of a stage.

    Attributes:
        kernel, expansion, channels: as in `Stage`, of this block.
        stage: the index of its stage.
        first: True for the first block of its stage.
    """

    kernel: int
    expansion: int | float
    channels: int
    stage: int
    first: bool


def stages_option(number: int) -> Any:
    """Declare the option `stages` of a network with this number of stages."""
    return option(
        "",
        f"{number} stages joined by '-', such as {EXAMPLE}: kernel, expansion, depth, channels before alpha; "
        "by default the paper's",
        parser=functools.partial(parse_stages, number=number),
        quiet=True,
    )


@functools.lru_cache(maxsize=4096)
def parse_stages(text: str, number: int) -> tuple[Stage, ...]:
    """Return the stages of a text; none for "", which stands for the paper's table.

    >>> parse_stages("k5e6d2c24", 1)
    (Stage(kernels=(5, 5), expansions=(6, 6), channels=24),)

    Raises:
        OptionError: a stage is malformed or out of range, or there are more or fewer than `number` stages.
    """
    if not text:
        return ()
    parts = text.split("-")
    stages = tuple(_stage(i, part) for i, part in enumerate(parts, 1))
    if len(stages) != number:
        raise OptionError(
            f"stages has {len(stages)} stages, and the network has {number}: join {number} by '-', such as {EXAMPLE}"
        )
    return stages


def spell_stages(stages: Iterable[Stage]) -> str:
    """Return the text that `parse_stages` reads."""
    return "-".join(stage.text for stage in stages)


def blocks_of(stages: Iterable[Stage]) -> Iterator[StageBlock]:
    """Yield the blocks of all stages, in order."""
    for i, (kernels, expansions, channels) in enumerate(stages):
        for at, (kernel, expansion) in enumerate(zip(kernels, expansions, strict=True)):
            yield StageBlock(kernel, expansion, channels, i, at == 0)


def expanded_channels(channels: int, expansion: float) -> int:
    """Return the multiple of `channels` as the nearest whole number; halves round up.

    >>> expanded_channels(24, 3.67), expanded_channels(80, 2.3)
    (88, 184)
    """
    return int(channels * expansion + 0.5)


def _stage(i: int, part: str) -> Stage:
    """The stage that a part of the text spells; `i` counts from 1."""
    found = _STAGE.fullmatch(part)
    if not found:
        raise OptionError(
            f"stage {i} of stages is {part!r}: write kernel, expansion, depth, channels as {EXAMPLE}"
        )
    depth, channels = int(found[3]), int(found[4])
    kernels, expansions = (_of_blocks(i, part, text, depth) for text in (found[1], found[2]))
    problems = {
        f"the depth must be from 1 to {MAX_DEPTH}": not 1 <= depth <= MAX_DEPTH,
        f"the channels must be from 1 to {MAX_VALUE}": not 1 <= channels <= MAX_VALUE,
        f"a kernel must be odd, from 1 to {MAX_VALUE}": not all(
            k % 2 == 1 and k <= MAX_VALUE for k in kernels
        ),
        f"an expansion must be above 0, at most {MAX_VALUE}": not all(0 < e <= MAX_VALUE for e in expansions),
    }
    for problem, found_it in problems.items():
        if found_it:
            raise OptionError(f"stage {i} of stages is {part!r}: {problem}")
    return Stage(tuple(map(int, kernels)), expansions, channels)


def _of_blocks(i: int, part: str, text: str, depth: int) -> tuple[int | float, ...]:
    """The number of each block, from one for all or one each."""
    numbers = tuple(
        int(number) if float(number).is_integer() else float(number) for number in text.split("+")
    )
    if len(numbers) == 1:
        return numbers * min(depth, MAX_DEPTH)
    if len(numbers) != depth:
        raise OptionError(
            f"stage {i} of stages is {part!r}: give one number, or one for each of {depth} blocks"
        )
    return numbers


def _joined(numbers: tuple[int | float, ...]) -> str:
    texts = [str(each) if isinstance(each, int) else f"{each:f}".rstrip("0").rstrip(".") for each in numbers]
    return texts[0] if len(set(texts)) == 1 else "+".join(texts)
