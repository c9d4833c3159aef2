"""A view as Markdown: exact counts, and no text that becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as escape_html

from mbanalyze.display.records import one_line
from mbanalyze.display.views import Section, View, exact


def markdown(view: View) -> str:
    """The sections as tables under headings of the second level, the notes as lists, and commands as code."""
    parts = [part for section in view.sections for part in _section(section)]
    parts += [_list(lines) for lines in (view.notes, view.provenance) if lines]
    return "\n".join([*parts, *(f"```sh\n{one_line(command)}\n```\n" for command in view.commands)])


def _section(section: Section) -> Iterable[str]:
    if section.heading:
        yield f"## {escape(section.heading)}\n"
    if section.rows:
        yield _table(section)
    elif section.heading:
        yield "none\n"
    if section.notes:
        yield _list(section.notes)


def _table(section: Section) -> str:
    columns = [column for column in section.columns if not column.bars]
    return table(
        [column.heading for column in columns],
        list(zip(*(map(exact, column.cells) for column in columns), strict=True)),
        [column.align for column in columns],
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], align: Sequence[str]) -> str:
    """A table of text; `align` is `left` or `right` for each column."""
    rule = ["---" if side == "left" else "---:" for side in align]
    lines = [list(map(escape, headings)), rule, *(list(map(escape, row)) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "".join(f"- {escape(line)}\n" for line in lines)


def escape(text: str) -> str:
    """`text` on one line, without padding, so that nothing in it is Markdown, HTML or the mention of a person.

    A character without width follows an `@` that could begin a mention, because the sites look for mentions
    after they have resolved every escape.
    """
    shown = escape_html(" ".join(one_line(text).split()), quote=False)
    shown = re.sub(r"[\\`*\[\]|~#]|(?<!\w)_|_(?!\w)", r"\\\g<0>", shown)
    return re.sub("(?<![A-Za-z0-9_])@", "@&#8203;", shown)
