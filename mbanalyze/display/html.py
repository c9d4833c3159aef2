"""A view as an HTML fragment for notebooks, in the colours of the page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mbanalyze.display.records import one_line
from mbanalyze.display.views import Column, Section, View, short

NOTES = "white-space: pre-wrap; word-break: normal; font-family: monospace; line-height: 1.4"
"""The style of notes: a long line is broken at the edge of the page."""
HEADING = "margin: 1em 0"
"""The style of a heading: it keeps a distance from the notes above it."""


def html(view: View) -> str:
    """The sections as tables, and the notes below."""
    parts = [part for section in view.sections for part in _section(section)]
    lines = [*view.notes, *view.provenance, *view.commands]
    return "".join(parts) + (notes(lines) if lines else "")


def notes(lines: Iterable[str]) -> str:
    """Lines below a table."""
    return f'<pre style="{NOTES}">{escape(chr(10).join(map(one_line, lines)))}</pre>'


def _section(section: Section) -> Iterable[str]:
    if section.heading:
        yield f'<p style="{HEADING}"><b>{escape(one_line(section.heading))}</b></p>'
    if section.rows:
        yield _table(section)
    elif section.heading:
        yield "<p>none</p>"
    if section.notes:
        yield notes(section.notes)


def _table(section: Section) -> str:
    columns = section.columns
    rows = list(zip(*([one_line(short(cell)) for cell in column.cells] for column in columns), strict=True))
    headings = [one_line(column.heading) for column in columns]
    head = _row("th", columns, headings) if any(headings) else ""
    lines = [_row("th" if section.total and row is rows[-1] else "td", columns, row) for row in rows]
    return f"<table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"


def _row(tag: str, columns: Iterable[Column], cells: Iterable[str]) -> str:
    pairs = zip(map(_style, columns), map(escape, cells), strict=True)
    shown = "".join(f'<{tag} style="{style}">{cell}</{tag}>' for style, cell in pairs)
    return f"<tr>{shown}</tr>"


def _style(column: Column) -> str:
    space = "pre-line" if column.wrap else "pre"
    font = "; font-family: monospace" if column.bars else ""
    return f"padding: 0.2em 0.6em; white-space: {space}; text-align: {column.align}{font}"
