"""Reading of files that a user names: regular files of limited size, whose values are of limited depth."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

LARGEST = 64 * 1024**2
"""The largest number of characters of a file."""
DEEPEST = 100
"""The largest number of tables and lists around a value."""


class DocumentError(ValueError):
    """A file that is not regular or too large, or values that are nested too deeply."""


def read_text(path: Path) -> str:
    """Return the text of a regular file, without the mark that editors on Windows put before UTF-8.

    Raises:
        DocumentError: the file is a folder, device or pipe, or too large, or not UTF-8.
        OSError: the file does not exist, or cannot be read.
    """
    _require_regular(path.stat())
    try:
        # Opening a pipe would wait for its writer, if one took the place of the file in the meantime.
        with open(path, encoding="utf-8-sig", opener=_open_without_waiting) as file:
            _require_regular(os.fstat(file.fileno()))
            text = file.read(LARGEST + 1)
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8: {error}") from error
    if len(text) > LARGEST:
        raise DocumentError(f"it has more than {LARGEST:,} characters")
    return text


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise DocumentError("it is not a regular file")
    if found.st_size > LARGEST:
        raise DocumentError(f"it has more than {LARGEST:,} bytes")


def require_shallow(value: object, deepest: int = DEEPEST) -> None:
    """Raise `DocumentError` if tables and lists are nested more than `deepest` times."""
    if isinstance(value, Mapping | list):
        if not deepest:
            raise DocumentError(f"its values are nested more than {DEEPEST} times")
        for each in value.values() if isinstance(value, Mapping) else value:
            require_shallow(each, deepest - 1)
