"""A view as a table: no cell is cut, and in a terminal the least important columns make room."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from textwrap import TextWrapper, wrap

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mbanalyze.display.records import one_line
from mbanalyze.display.views import Cell, Column, Section, View, short

GAP = 2
"""Cells between neighbouring columns."""
NARROWEST = 20
"""Cells that a column of sentences has at least."""
UNLIMITED = 1_000_000
"""The width without a limit: more cells than a line has."""


def renderable(view: View, width: int = UNLIMITED) -> RenderableType:
    """Lay out a view `width` cells wide, or wider if the columns that stay need more; by default with all columns."""
    blocks = [Group(*_section(section, width)) for section in view.sections]
    notes = [*_lines(view.notes, width), *_lines(view.provenance, width, "dim")]
    notes += [Text(one_line(command)) for command in view.commands]
    blocks += [Group(*notes)] if notes else []
    spaced = [part for block in blocks for part in (Text(), block)]
    return Group(*spaced[1:])


def plain(view: View, width: int | None = None) -> str:
    """The same as text without colour."""
    width = width or UNLIMITED
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(renderable(view, width), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def terminal_width() -> int | None:
    """The width of the terminal that stdout is, 80 if it does not say, or None without a terminal.

    The environment variable COLUMNS overrides the width of a terminal.
    """
    return Console().width or 80 if sys.stdout and sys.stdout.isatty() else None


def _section(section: Section, width: int) -> Iterator[RenderableType]:
    section = replace(section, columns=tuple(map(_printable, section.columns)))
    if section.heading:
        yield from _lines([section.heading], width, "bold")
    if not section.rows and section.heading:
        yield Text("none", style="dim")
    elif section.rows:
        kept, dropped = _fit(section, width)
        for columns in _cut(kept, section.fixed, width):
            yield _grid(columns, width, total=section.total)
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


def _lines(lines: Iterable[str], width: int, style: str = "") -> Iterator[Text]:
    wrapper = TextWrapper(
        max(width, NARROWEST), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return (Text(part, style=style) for line in lines for part in wrapper.wrap(one_line(line)))


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


def _grid(columns: Sequence[Column], width: int, *, total: bool) -> Table:
    """The columns as a rich table that cuts no cell, with sentences broken to fit."""
    columns = _narrowed(columns, width)
    grid = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        pad_edge=False,
        show_edge=False,
        show_header=any(column.heading for column in columns),
        width=sum(map(_width, columns)) + GAP * (len(columns) - 1),
    )
    for column in columns:
        grid.add_column(
            Text(_heading(column)), justify=column.align, style="cyan" if column.bars else "", no_wrap=True
        )
    *body, last = zip(*(column.cells for column in columns), strict=True)
    for row in body:
        grid.add_row(*map(_text, row))
    if total:
        grid.add_section()
    grid.add_row(*map(_text, last), style="bold" if total else None)
    return grid


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


def _text(cell: str | Cell) -> Text:
    return Text(short(cell), style="" if isinstance(cell, str) else cell.style)
