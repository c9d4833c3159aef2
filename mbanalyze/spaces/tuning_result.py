"""The result of `tune_space`: every width and resolution for each board, and the best ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mbanalyze.display.result import Result
from mbanalyze.spaces.boards import Board
from mbanalyze.spaces.space import Space

SPACE_TUNING_SCHEMA = "mbanalyze.space_tuning/1"
LEAST_SHARE = 0.1
"""A width and resolution of which a smaller share fits is not chosen, because its mean has too few networks."""


class SubSpace(NamedTuple):
    """The networks of a space with one width and resolution, for a board.

    Attributes:
        board: the name of the board.
        alpha: the width multiplier.
        resolution: pixels of a side, or text such as `160x224`.
        samples: the networks that were drawn.
        fitting: those that fit the memory of the board.
        mean_macs: the mean macs of those that fit; None if none does.
    """

    board: str
    alpha: float
    resolution: int | str
    samples: int
    fitting: int
    mean_macs: float | None

    @property
    def share(self) -> float:
        """The fraction of the networks that fit."""
        return self.fitting / self.samples


@dataclass(frozen=True, eq=False, repr=False)
class SpaceTuning(Result):
    """The widths and resolutions of a space for some boards.

    Attributes:
        space: the space, with the options that the user gave.
        boards: the boards.
        sub_spaces: each width and resolution for each board.
        samples: the networks that were drawn.
        seed: the seed of the draw.
        dtype: the element type of bytes.
    """

    space: Space
    boards: tuple[Board, ...]
    sub_spaces: tuple[SubSpace, ...]
    samples: int
    seed: int
    dtype: str

    def ranked(self, board: str) -> list[SubSpace]:
        """Return the widths and resolutions for a board: most mean macs first, then those of which too few fit."""
        own = [each for each in self.sub_spaces if each.board == board]
        return sorted(own, key=lambda each: (each.share < LEAST_SHARE, -(each.mean_macs or 0)))

    @cached_property
    def best(self) -> dict[str, SubSpace | None]:
        """The best width and resolution for each board; None if at most few networks of each fit."""
        firsts = {board.name: self.ranked(board.name)[0] for board in self.boards}
        return {name: first if first.share >= LEAST_SHARE else None for name, first in firsts.items()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each board, width and resolution."""
        chosen = {id(each) for each in self.best.values()}
        return [
            {**each._asdict(), "share": each.share, "chosen": id(each) in chosen} for each in self.sub_spaces
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the choices as a JSON document of schema `SPACE_TUNING_SCHEMA`."""
        return {
            "schema": SPACE_TUNING_SCHEMA,
            "space": self.space.name,
            "source": self.space.source,
            "dtype": self.dtype,
            "samples": self.samples,
            "seed": self.seed,
            "boards": [
                {**board._asdict(), "best": best and {**best._asdict(), "share": best.share}}
                for board in self.boards
                for best in [self.best[board.name]]
            ],
            "sub_spaces": self.records(),
        }
