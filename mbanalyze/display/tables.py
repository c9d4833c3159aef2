"""Tables of text, whatever they hold: columns of cells by heading, for a terminal, in Markdown or in HTML."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from textwrap import wrap

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from mbanalyze.display.records import one_line

Columns = Mapping[str, Sequence[str]]
"""Cells by heading, as many in each column."""
LEFT = frozenset(
    {
        *(
            "op",
            "module",
            "block",
            "path",
            "kind",
            "variant",
            "channels",
            "output",
            "share of macs",
            "operators",
        ),
        *(
            "what",
            "reason",
            "model",
            "options",
            "from",
            "network",
            "verdict",
            "arithmetic",
            "setting",
            "layer",
            "last stage",
            "size",
            "stage",
            "was",
            "status",
        ),
    }
)
"""Columns of words; the others hold numbers, aligned on the right."""
BAR = "share of macs"
"""A column of bars drawn with letters, which have to be equally wide."""
WRAPPED = frozenset({"arithmetic", "reason"})
"""Columns of sentences, which a page may break into lines."""


def _heading(heading: str) -> str:
    """A heading of several words takes two lines above a column of numbers."""
    return heading if heading in LEFT else "\n".join(heading.split(" ", 1))


def _widths(columns: Columns) -> list[int]:
    """Cells that each column needs."""
    return [
        max(map(cell_len, [*_heading(heading).split("\n"), *cells])) for heading, cells in columns.items()
    ]


def width_of(columns: Columns) -> int:
    """Cells that the columns need side by side, two between neighbours."""
    return sum(_widths(columns)) + 2 * (len(columns) - 1)


def fit(columns: dict[str, list[str]], order: Sequence[str], width: int) -> list[Text]:
    """Take columns out, in this order but never the first, until the rest fits; a note that says which."""
    needed = width_of(columns)
    dropped: list[str] = []
    for heading in order:
        if heading in list(columns)[1:] and width_of(columns) > width:
            del columns[heading]
            dropped.append(heading)
    left_out = f"not shown in {width} columns: {', '.join(dropped)} ({needed} would do)"
    return [Text(line, style="dim") for line in wrap(left_out, max(width, 20))] if dropped else []


def grid_of(columns: Columns, width: int, *, total: bool = False) -> Table:
    """A table that cuts no cell short, and wraps reasons so that it is `width` cells wide where that is enough.

    Args:
        total: whether the last row is the sum of the others.
    """
    *widths, last = _widths(columns)
    if list(columns)[-1] == "reason":
        last = min(last, max(width - sum(widths) - 2 * len(widths), 20))
    needed = sum(widths) + last + 2 * len(widths)
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False, width=needed)
    for heading in columns:
        grid.add_column(
            _heading(heading),
            justify="left" if heading in LEFT else "right",
            style="cyan" if heading == BAR else "",
            no_wrap=heading != "reason",
        )
    *body, end = zip(*columns.values(), strict=True)
    for row in body:
        grid.add_row(*map(Text, row))
    if total:
        grid.add_section()
    grid.add_row(*map(Text, end), style="bold" if total else None)
    return grid


def plain(renderable: RenderableType, width: int | None = None) -> str:
    """`renderable` as text without colour, `width` cells wide or as wide as the terminal."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(renderable, soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def escape_markdown(text: str) -> str:
    """`text` so that it stays in its table cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def markdown_table(
    headings: Sequence[str],
    body: Sequence[Sequence[object]],
    escape: Callable[[str], str] = escape_markdown,
) -> str:
    """A Markdown table: integers grouped by thousands, unknown as '?', numbers on the right, text escaped."""

    def cell(value: object) -> str:
        if value is None:
            return "?"
        if isinstance(value, float):
            return f"{value:.3f}"
        return f"{value:,}" if type(value) is int else escape(str(value))

    rule = ["---" if heading in LEFT else "---:" for heading in headings]
    rows = [list(map(cell, headings)), rule, *(list(map(cell, line)) for line in body)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def html_table(columns: Columns, *, total: bool = False) -> str:
    """An HTML table without colours, so that it has those of its page; what does not print is spelled out.

    Args:
        total: whether the last row is the sum of the others.
    """
    styles = [
        f"padding: 0.2em 0.6em; white-space: {'pre-line' if name in WRAPPED else 'pre'}; "
        f"text-align: {'left' if name in LEFT else 'right'}" + "; font-family: monospace" * (name == BAR)
        for name in columns
    ]

    def line(tag: str, cells: Iterable[str]) -> str:
        pairs = zip(styles, map(escape, cells), strict=True)
        return "".join(f'<{tag} style="{style}">{cell}</{tag}>' for style, cell in pairs)

    rows = [tuple(map(one_line, row)) for row in zip(*columns.values(), strict=True)]
    head = line("th", (_heading(one_line(name)) for name in columns))
    lines = [line("th" if total and row is rows[-1] else "td", row) for row in rows]
    body = "".join(f"<tr>{cells}</tr>" for cells in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_sections(sections: Iterable[tuple[str, Columns]]) -> str:
    """A heading and an HTML table for each section that has rows; for the others the heading alone."""
    return "".join(
        f"<p><b>{escape(one_line(heading))}</b></p>{html_table(columns) if any(columns.values()) else ''}"
        for heading, columns in sections
    )


def html_notes(lines: Iterable[str]) -> str:
    """The lines below an HTML table; a long one is broken at the page's edge."""
    text = escape("\n".join(map(one_line, lines)))
    style = "white-space: pre-wrap; word-break: normal; font-family: monospace; line-height: 1.4"
    return f'<pre style="{style}">{text}</pre>'
