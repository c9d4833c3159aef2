"""A choice of width and resolution as tables: one row a board, or the best widths and resolutions of one board."""

from __future__ import annotations

from collections.abc import Sequence

from mbanalyze.display.result import view
from mbanalyze.display.units import count_cell, si_bytes
from mbanalyze.display.views import Cell, Column, Section, View, words
from mbanalyze.spaces.boards import Board
from mbanalyze.spaces.objective import PROXY
from mbanalyze.spaces.tuning_result import LEAST_SHARE, SpaceTuning, SubSpace

SHOWN = 8
"""The widths and resolutions that the table of one board shows."""


@view.register
def space_tuning_view(tuning: SpaceTuning, *, flags: bool = False) -> View:
    """Lay out a choice of width and resolution.

    Args:
        tuning: the choice.
        flags: name the command line in the next step.
    """
    several = len(tuning.boards) > 1
    section = _boards(tuning) if several else _one_board(tuning, tuning.boards[0])
    notes = [
        f"{tuning.samples:,} networks of the space {tuning.space.name}, each at every width and resolution, in {tuning.dtype}",
        "the best width and resolution has most macs on average among the networks that fit, by the rule of TinyNAS",
        f"less than {LEAST_SHARE:.0%} of the networks fit: not chosen",
        PROXY,
    ]
    commands = tuple(
        f"mbanalyze search --space {tuning.space.name} --board {board.name} --alpha {best.alpha} --resolution {best.resolution}"
        for board in tuning.boards
        if (best := tuning.best[board.name])
    )
    sources = tuple(f"{board.name}: {board.source}" for board in tuning.boards if board.source)
    return View((section,), tuple(notes), (*sources, tuning.space.source), commands if flags else ())


def _boards(tuning: SpaceTuning) -> Section:
    """A row for each board, with its best width and resolution."""
    best = [tuning.best[board.name] for board in tuning.boards]
    return Section("", (*_memory(tuning.boards), *_columns(best)))


def _one_board(tuning: SpaceTuning, board: Board) -> Section:
    """The best widths and resolutions of a board."""
    rows = [each for each in tuning.ranked(board.name) if each.fitting][:SHOWN]
    heading = f"{board.name}: {si_bytes(board.sram_bytes)} SRAM, {si_bytes(board.flash_bytes)} flash"
    return Section(heading, _columns(rows))


def _memory(boards: Sequence[Board]) -> tuple[Column, ...]:
    return (
        words("board", [board.name for board in boards]),
        Column("SRAM", [_bytes(board.sram_bytes) for board in boards]),
        Column("flash", [_bytes(board.flash_bytes) for board in boards]),
    )


def _bytes(count: int) -> Cell:
    return Cell(si_bytes(count), f"{count:,} B")


def _columns(rows: Sequence[SubSpace | None]) -> tuple[Column, ...]:
    """The columns of widths and resolutions; empty cells for None."""
    means = [None if row is None or row.mean_macs is None else round(row.mean_macs) for row in rows]
    return (
        Column("alpha", ["" if row is None else str(row.alpha) for row in rows]),
        Column("px", ["" if row is None else str(row.resolution) for row in rows]),
        Column("fits", ["" if row is None else f"{row.share:.0%}" for row in rows]),
        Column("mean macs", ["" if mean is None else count_cell(mean) for mean in means]),
    )
