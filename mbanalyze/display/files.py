"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path


class OutputError(ValueError):
    """A file that cannot be written."""


def require_writable(path: Path | None) -> None:
    """Raise `OutputError` if `path` cannot be written; call it before long work."""
    if path is None or str(path) == "-":
        return
    place = path if path.exists() else path.resolve().parent
    if path.is_dir() or not os.access(place, os.W_OK):
        raise OutputError(f"cannot write {path}: no such folder, or no permission")


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; a pipe or device is written to directly.

    Raises:
        OutputError: the file cannot be written.
    """
    content = content.encode() if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _replace(path.resolve(), content)
    except (OSError, RuntimeError) as error:
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def append(path: Path, text: str) -> None:
    """Append to a file that other programs append to as well.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _replace(target: Path, content: bytes) -> None:
    """Replace `target` by a file with `content`, with the permissions of `target` or the default ones."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.umask(umask := os.umask(0))
        Path(temporary).chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink()
        raise
