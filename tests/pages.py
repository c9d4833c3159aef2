"""The Markdown pages of the documentation, and their blocks of code, links and tables."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Block(NamedTuple):
    """A block of code: its page, its language and its text."""

    page: str
    language: str
    text: str


@functools.cache
def pages() -> Mapping[str, str]:
    """Return the text of README.md, CONTRIBUTING.md and every page in docs/, by file name."""
    files = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
    return {file.name: file.read_text() for file in files}


def blocks(language: str | None = None) -> list[Block]:
    """Return every block of code, or those in one language."""
    found = [
        Block(page, known, text)
        for page, whole in pages().items()
        for known, text in re.findall(r"^```(.*)\n((?:.*\n)*?)```$", whole, re.MULTILINE)
    ]
    return [block for block in found if language in (None, block.language)]


def section(page: str, heading: str) -> str:
    """Return the text between a heading and the next one, of any level."""
    _, _, rest = f"\n{pages()[page]}".partition(f"\n{heading}\n")
    assert rest, f"{page} has no heading {heading!r}"
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str, number: int = 0) -> list[list[str]]:
    """Return the cells of a table in a text, row by row, without its header."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in tables[number].splitlines()[2:]]


def keys(page: str, heading: str, number: int = 0) -> set[str]:
    """Return the names in the first column of a table under a heading."""
    return {
        name for first, *_ in table(section(page, heading), number) for name in re.findall("`(.*?)`", first)
    }
