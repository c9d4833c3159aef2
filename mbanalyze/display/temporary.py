"""Temporary folders, and what to do if there is no room for them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mbanalyze.display.files import OutputError


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is removed afterwards.

    Raises:
        OutputError: no folder for temporary files can be written.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="mbanalyze-")
    except OSError as error:
        raise OutputError(f"cannot write a temporary folder: {make_room()}") from error
    with made as place:
        yield Path(place)


def make_room() -> str:
    """Return advice for a temporary folder that is full."""
    place = tempfile.tempdir or "the folder for temporary files"
    return f"make room in {place}, or set TMPDIR to another folder"
