"""A result laid out for reading: sections of columns, and notes below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Cell(NamedTuple):
    """A cell with a short and an exact spelling.

    Attributes:
        short: shown in terminals and notebooks ("300.8 M").
        exact: shown in Markdown ("300,774,272").
        style: a rich style for terminals.
    """

    short: str
    exact: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a section.

    Attributes:
        heading: its name; "" for no heading.
        cells: one for each row; plain text is spelled the same everywhere.
        align: the side that cells are aligned to.
        wrap: True for sentences, which may be broken into lines.
        bars: True for bars drawn with block characters, which Markdown leaves out.
    """

    heading: str
    cells: Sequence[str | Cell]
    align: Literal["left", "right"] = "right"
    wrap: bool = False
    bars: bool = False


def words(heading: str, cells: Sequence[str | Cell], *, wrap: bool = False) -> Column:
    """A column of words, aligned on the left."""
    return Column(heading, cells, "left", wrap)


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its heading.

    Attributes:
        heading: the line above the table; "" for none.
        columns: all of equal length; a section without rows shows its heading and "none".
        drop_order: headings of the columns to leave out, in this order, while a terminal is too narrow.
        fixed: leading columns to repeat when a wide table is cut into several; 0 never cuts.
        total: True if the last row is the sum of the others.
        notes: lines below the table.
    """

    heading: str
    columns: tuple[Column, ...]
    drop_order: tuple[str, ...] = ()
    fixed: int = 0
    total: bool = False
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.columns[0].cells) if self.columns else 0


@dataclass(frozen=True, slots=True)
class View:
    """A result laid out for reading.

    Attributes:
        sections: the tables, the most important first.
        notes: lines below the tables.
        provenance: lines that say where the numbers come from, printed dimly.
        commands: shell commands for the next step, never broken into lines.
    """

    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    provenance: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def filled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that have at least one cell with text."""
    return tuple(column for column in columns if any(map(short, column.cells)))


def short(cell: str | Cell) -> str:
    """The short spelling of a cell."""
    return cell if isinstance(cell, str) else cell.short


def exact(cell: str | Cell) -> str:
    """The exact spelling of a cell."""
    return cell if isinstance(cell, str) else cell.exact
