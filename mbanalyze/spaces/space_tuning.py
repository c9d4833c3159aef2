"""`tune_space`: the width multiplier and resolution whose networks suit a board.

The rule is that of TinyNAS (MCUNet, arXiv:2007.10319, section 3.1). Each width and resolution is a space of its own.
The best one has most macs on average, among its networks within the memory of the board.
A network with more macs within the same memory is more likely to be accurate.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from mbanalyze.archs import ARCHS
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.resolution import as_resolution
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.spaces.boards import BOARDS, Board, find_board
from mbanalyze.spaces.given_space import given_space
from mbanalyze.spaces.space import Space, SpaceError, whole
from mbanalyze.spaces.tuning_result import SpaceTuning, SubSpace
from mbanalyze.sweep.arrays import Array
from mbanalyze.sweep.closed_form import count_grid

SAMPLES = 100
"""The networks that are drawn, unless the user gives another number."""
_COUNTED = ("macs", "params", "peak_bytes_deployed")
_SIZES = ("alpha", "resolution")


def tune_space(
    space: str | Space,
    *,
    board: str | None = None,
    dtype: str | None = None,
    samples: int | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> SpaceTuning:
    """Find the width multiplier and resolution of a space for a board, by the rule of TinyNAS.

    The same networks are drawn for every width and resolution, also if you give others. A network fits if its deployed peak is within the SRAM,
    and the bytes of its params are within the flash.

    Args:
        space: as for `search_space`.
        board: as for `search_space`; by default each of the known boards.
        dtype: element type for bytes; int8 by default.
        samples: the networks to draw, 100 by default.
        seed: the seed of the draw, 0 by default.
        progress: called with the finished fraction.
        options: as for `search_space`.

    Raises:
        SpaceError: the space or board is unknown, or the space has no widths or resolutions.
        OptionError, GridError: an option is unknown or has invalid values.
        ChoiceError: `dtype` is unknown.
    """
    found = given_space(space, options)
    boards = [find_board(board)] if board is not None else list(BOARDS.values())
    dtype = choose("dtype", dtype or "int8", ITEM_SIZES)
    drawn, seed = whole("samples", samples, SAMPLES, 1), whole("seed", seed, 0, 0)
    for name in _SIZES:
        if not found.options.get(name):
            raise SpaceError(f"the space has no {name}: give values of it")
    show, counts = progress or (lambda _: None), []
    for number, network in enumerate(_draw(found, drawn, seed), 1):
        counts.append(_count(found, network, ITEM_SIZES[dtype]))
        show(number / drawn)
    stacked = {name: np.stack([each[name] for each in counts]) for name in _COUNTED}
    found_spaces = [sub for each in boards for sub in _sub_spaces(found, each, stacked, ITEM_SIZES[dtype])]
    return SpaceTuning(found, tuple(boards), tuple(found_spaces), drawn, seed, dtype)


def _draw(space: Space, samples: int, seed: int) -> Iterator[dict[str, Any]]:
    """The options of random networks, without width and resolution."""
    others = {name: choices for name, choices in space.options.items() if name not in _SIZES}
    unsized, generator = replace(space, options=others), random.Random(seed)  # noqa: S311 (a draw of networks)
    for _ in range(samples):
        yield unsized.options_of(unsized.draw(generator))


def _count(space: Space, network: Mapping[str, Any], itemsize: int) -> dict[str, Array]:
    """The counts of a network at every width and resolution: [widths, resolutions]."""
    arch = ARCHS[space.architecture]
    single = {declared.name: network.get(declared.name, declared.default) for declared in fields(arch)}
    networks = {name: [value] for name, value in single.items() if name != "resolution"}
    networks["alpha"] = list(space.options["alpha"])
    sizes = [as_resolution(size) for size in space.options["resolution"]]
    found = count_grid(arch, networks, sizes, itemsize=itemsize)
    if found.invalid:
        raise SpaceError(f"a network of the space is not possible: {found.invalid[0].reason}")
    return {name: found.counts[name] for name in _COUNTED}


def _sub_spaces(space: Space, board: Board, counts: Mapping[str, Array], itemsize: int) -> Iterator[SubSpace]:
    """Each width and resolution with its fitting networks; `counts` are [networks, widths, resolutions]."""
    fits = counts["peak_bytes_deployed"] <= board.sram_bytes
    fits &= counts["params"] * itemsize <= board.flash_bytes
    for i, alpha in enumerate(space.options["alpha"]):
        for j, resolution in enumerate(space.options["resolution"]):
            chosen = fits[:, i, j]
            macs = [int(count) for count in counts["macs"][chosen, i, j]]
            mean = sum(macs) / len(macs) if macs else None
            yield SubSpace(board.name, alpha, resolution, len(chosen), len(macs), mean)
