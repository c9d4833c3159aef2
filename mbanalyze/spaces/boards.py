"""Boards with a microcontroller: their memory for activations and for weights.

The three known boards are those of MCUNet (arXiv:2007.10319, section 4.1), with sizes from the data sheets of
STMicroelectronics, where 1 Kbyte is 1,024 bytes. An application and an inference engine need a part of the memory.
"""

from __future__ import annotations

from typing import NamedTuple

from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.inputs.parsing import ParseError, parse_count
from mbanalyze.spaces.space import SpaceError


class Board(NamedTuple):
    """The memory of a board.

    Attributes:
        name: its name, or the text that the user gave.
        sram_bytes: memory for activations: the limit of the deployed peak.
        flash_bytes: memory for weights.
        source: the document with both numbers.
    """

    name: str
    sram_bytes: int
    flash_bytes: int
    source: str = ""

    def max_params(self, itemsize: int) -> int:
        """Return the most weights of `itemsize` bytes that fit the flash."""
        return self.flash_bytes // itemsize


KIB, MIB = 2**10, 2**20
BOARDS = {
    board.name: board
    for board in (
        Board("stm32f412", 256 * KIB, 1 * MIB, "ST DS11139, STM32F412xG"),
        Board("stm32f746", 320 * KIB, 1 * MIB, "ST DS10916, STM32F746xG"),
        Board("stm32h743", 512 * KIB, 2 * MIB, "ST DS12110, STM32H743xI: its largest SRAM in one piece"),
    )
}
"""Name -> board."""


def find_board(text: str) -> Board:
    """Return a known board, or the one of a text `SRAM,FLASH`.

    >>> find_board("stm32f746").sram_bytes, find_board("256KB,1MB").flash_bytes
    (327680, 1000000)

    Raises:
        SpaceError: the text is neither.
    """
    if text in BOARDS:
        return BOARDS[text]
    try:
        sram, flash = (parse_count(part, of_bytes=True) for part in str(text).split(","))
    except (ParseError, ValueError):
        near = nearest_are(nearest(text, BOARDS)) or f"the boards are {', '.join(BOARDS)}"
        raise SpaceError(f"no board {text!r}: {near}; or give SRAM and flash, such as 256KiB,1MiB") from None
    return Board(text, sram, flash)
