"""The format of a result: as `--format` says, or as the suffix of `--output` implies."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mbanalyze.cli.arguments import UsageError
from mbanalyze.display.result import FORMATS

SUFFIXES = {
    ".json": ("json", "sarif"),
    ".csv": ("csv",),
    ".md": ("markdown",),
    ".markdown": ("markdown",),
    ".html": ("html",),
    ".htm": ("html",),
    ".xml": ("junit",),
    ".sarif": ("sarif",),
}
"""The formats that a file may have, by its suffix; the first is implied. Others, such as .txt, may have any format."""

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".gif")
"""Suffixes of pictures, which no format is."""


def choose_format(format: str | None, output: Path | None, known: Collection[str] = FORMATS) -> str:
    """Return the format of a file or of stdout.

    Args:
        format: the format that the user gave, or None.
        output: the file, or None for stdout.
        known: the formats of the command.

    Raises:
        UsageError: the suffix belongs to another format, to one that the command does not have, or to a picture.
    """
    suffix = output.suffix.lower() if output else ""
    if suffix in PICTURES and format is None:
        raise UsageError(f"{output} would be a picture: --plot draws one, in the commands that have it")
    implied = SUFFIXES.get(suffix, ())
    if format and implied and format not in implied:
        meant = " or ".join(each for each in implied if each in known) or implied[0]
        raise UsageError(f"the format {format} contradicts the file {output}: {suffix} means {meant}")
    chosen = format or next(iter(implied), "table")
    if chosen not in known:
        raise UsageError(
            f"{output} would be {chosen}, which this command does not have: choose one of {', '.join(known)}"
        )
    return chosen
