"""A view as a table: no cell is cut, and in a terminal the least important columns make room."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from textwrap import TextWrapper, wrap
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from mbanalyze.display.records import one_line
from mbanalyze.display.views import Cell, Column, Section, View, short

GAP = 2
"""Cells between neighbouring columns."""
NARROWEST = 20
"""Cells that a column of sentences has at least."""
UNLIMITED = 1_000_000
"""The width without a limit: more cells than a line has."""


class Line(NamedTuple):
    """A line of text.

    Attributes:
        parts: its text in parts, each with a rich style; "" for none.
        table: True in a table, whose lines are not broken if a console is too narrow.
    """

    parts: Sequence[tuple[str, str]]
    table: bool = False

    def __str__(self) -> str:
        return "".join(text for text, _ in self.parts).rstrip()


def renderable(view: View, width: int = UNLIMITED) -> Group:
    """Lay out a view `width` cells wide, or wider if the columns that stay need more; by default with all columns."""
    return Group(*map(_coloured, _layout(view, width)))


def plain(view: View, width: int | None = None) -> str:
    """The same as text without colour."""
    return "".join(f"{line}\n" for line in _layout(view, width or UNLIMITED))


def _coloured(line: Line) -> Text:
    return Text.assemble(*line.parts, no_wrap=line.table, overflow="ignore" if line.table else None)


def terminal_width() -> int | None:
    """The width of the terminal that stdout is, 80 if it does not say, or None without a terminal.

    The environment variable COLUMNS overrides the width of a terminal.
    """
    return Console().width or 80 if sys.stdout and sys.stdout.isatty() else None


def _layout(view: View, width: int) -> Iterator[Line]:
    """The lines of a view, with an empty line between its blocks."""
    notes = [*_lines(view.notes, width), *_lines(view.provenance, width, "dim")]
    notes += [Line([(one_line(command), "")]) for command in view.commands]
    blocks = [*(_section(section, width) for section in view.sections), *([notes] if notes else [])]
    for number, block in enumerate(blocks):
        if number:
            yield Line(())
        yield from block


def _section(section: Section, width: int) -> Iterator[Line]:
    section = replace(section, columns=tuple(map(_printable, section.columns)))
    if section.heading:
        yield from _lines([section.heading], width, "bold")
    if not section.rows and section.heading:
        yield Line([("none", "dim")])
    elif section.rows:
        kept, dropped = _fit(section, width)
        for columns in _cut(kept, section.fixed, width):
            yield from _grid(columns, width, total=section.total)
        if dropped:
            hidden = f"hidden at this width: {', '.join(dropped)}; needs {_needed(section.columns)} columns"
            yield from _lines([hidden], width, "dim")
    yield from _lines(section.notes, width, "dim")


def _printable(column: Column) -> Column:
    """The column with escapes for characters that do not print, line breaks included."""
    cells = [
        Cell(one_line(short(cell)), "", "" if isinstance(cell, str) else cell.style) for cell in column.cells
    ]
    return replace(column, heading=one_line(column.heading), cells=cells)


def _lines(lines: Iterable[str], width: int, style: str = "") -> Iterator[Line]:
    wrapper = TextWrapper(
        max(width, NARROWEST), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return (Line([(part, style)]) for line in lines for part in wrapper.wrap(one_line(line)))


def _heading(column: Column) -> str:
    """The heading; above numbers, each word takes a line, and so does each option of a reference."""
    return column.heading if column.align == "left" else re.sub(r" |(?<=[@,])", "\n", column.heading)


def _width(column: Column) -> int:
    """The cells that a column needs."""
    lines = [line for text in (_heading(column), *map(short, column.cells)) for line in text.split("\n")]
    return max(map(cell_len, lines))


def _needed(columns: Sequence[Column]) -> int:
    """The cells that columns need side by side; sentences can be broken."""
    widths = [min(_width(c), NARROWEST) if c.wrap else _width(c) for c in columns]
    return sum(widths) + GAP * (len(columns) - 1)


def _fit(section: Section, width: int) -> tuple[tuple[Column, ...], list[str]]:
    """The columns that fit, and the headings of those left out; the first column always stays."""
    columns, dropped = section.columns, list[str]()
    for heading in section.drop_order:
        found = [column for column in columns[1:] if column.heading == heading]
        if found and _needed(columns) > width:
            columns = tuple(column for column in columns if column not in found)
            dropped.append(heading)
    return columns, dropped


def _cut(columns: Sequence[Column], fixed: int, width: int) -> Iterator[Sequence[Column]]:
    """The columns as tables no wider than `width`, each with the `fixed` ones and at least one more."""
    if not fixed:
        yield columns
        return
    shown = list(columns[: fixed + 1])
    for column in columns[fixed + 1 :]:
        if _needed([*shown, column]) > width:
            yield shown
            shown = list(columns[:fixed])
        shown.append(column)
    yield shown


def _grid(columns: Sequence[Column], width: int, *, total: bool) -> Iterator[Line]:
    """The lines of a table that cuts no cell, with sentences broken to fit."""
    columns = _narrowed(columns, width)
    widths = list(map(_width, columns))
    if any(column.heading for column in columns):
        yield from _row(columns, widths, _at_the_bottom(map(_heading, columns)), ["bold"] * len(columns))
        yield Line([("─" * (sum(widths) + GAP * (len(columns) - 1)), "")], table=True)
    styles = ["cyan" if column.bars else "" for column in columns]
    *body, last = zip(*(column.cells for column in columns), strict=True)
    for row in body:
        yield from _row(columns, widths, row, styles)
    if total and body:
        yield Line(())
    yield from _row(columns, widths, last, [f"{style} bold" for style in styles] if total else styles)


def _at_the_bottom(texts: Iterable[str]) -> list[str]:
    """Texts of equally many lines, the first of which are empty."""
    given = list(texts)
    lines = max(text.count("\n") for text in given)
    return ["\n" * (lines - text.count("\n")) + text for text in given]


def _row(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str | Cell], styles: Sequence[str]
) -> Iterator[Line]:
    """The lines of a row, each cell aligned in its column; `styles` are those of the columns."""
    own = [
        style if isinstance(cell, str) else f"{style} {cell.style}"
        for cell, style in zip(cells, styles, strict=True)
    ]
    for texts in zip_longest(*(short(cell).split("\n") for cell in cells), fillvalue=""):
        parts = [(" " * GAP, "")] * (2 * len(columns) - 1)
        parts[::2] = [
            (_aligned(text, column, room), style)
            for text, column, room, style in zip(texts, columns, widths, own, strict=True)
        ]
        yield Line(parts, table=True)


def _aligned(text: str, column: Column, width: int) -> str:
    """The text of a cell, filled with spaces to the width of its column."""
    if column.align == "left":
        return text + " " * (width - cell_len(text))
    text = text.rstrip()
    return " " * (width - cell_len(text)) + text


def _narrowed(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns with sentences broken into lines that fill the cells which the others leave."""
    others = sum(_width(column) + GAP for column in columns if not column.wrap)
    sentences = [column for column in columns if column.wrap]
    room = max((width - others) // max(len(sentences), 1) - GAP * (len(sentences) - 1), NARROWEST)
    return [
        replace(column, cells=["\n".join(wrap(short(cell), room)) for cell in column.cells])
        if column.wrap
        else column
        for column in columns
    ]
