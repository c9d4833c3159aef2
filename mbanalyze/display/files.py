"""Files that are written whole or not at all, several of them together."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


class OutputError(ValueError):
    """A file or stream that cannot be written."""


def require_writable(path: Path | None) -> None:
    """Raise `OutputError` if `path` cannot be written; call it before long work."""
    if path is None or str(path) == "-":
        return
    with _named(path):
        _check(path)


def _check(path: Path) -> None:
    """Raise the error of the system, or `ValueError`, if `path` cannot be written."""
    if "\0" in str(path):
        raise ValueError("embedded null byte")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = 0
    if stat.S_ISDIR(mode):
        raise _error(errno.EISDIR)
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder")
    replaced = not mode or stat.S_ISREG(mode)
    if (mode and not os.access(path, os.W_OK)) or (replaced and not os.access(folder, os.W_OK)):
        raise _error(errno.EACCES)


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; a pipe or device is written to directly.

    Raises:
        OutputError: the file cannot be written.
    """
    with written({path: content}):
        pass


@contextmanager
def written(contents: Mapping[Path, str | bytes]) -> Iterator[None]:
    """Write files before the `with` block; if one of them or the block fails, put all of them back.

    Characters that UTF-8 cannot encode are escaped.

    Raises:
        OutputError: a file cannot be written.
    """
    files = [
        _Replacement(path, text.encode(errors="backslashreplace") if isinstance(text, str) else text)
        for path, text in contents.items()
    ]
    try:
        for step in (_Replacement.prepare, _Replacement.apply):
            for file in files:
                with _named(file.path):
                    step(file)
        yield
    except BaseException:
        for file in files:
            with suppress(OSError):
                file.undo()
        raise
    finally:
        for file in files:
            file.clean()


def append(path: Path, text: str) -> None:
    """Append to a file that other programs append to as well.

    Raises:
        OutputError: the file cannot be written.
    """
    with _named(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """If the `with` block fails, put a file back that the block replaced, and remove it if there was none."""
    before, absent = _content(path), not path.exists()
    try:
        yield
    except BaseException:
        with suppress(OSError, OutputError):
            if before is not None and _content(path) != before:
                write(path, before)
            elif absent and path.is_file():
                path.unlink()
        raise


def _content(path: Path) -> bytes | None:
    """The content of a regular file; None if it is not one, or cannot be read."""
    with suppress(OSError):
        return path.read_bytes() if path.is_file() else None
    return None


class _Replacement:
    """The replacement of one file, which can be undone; a pipe or device is written to directly."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.target, self.content = path, path, content
        self.temporary: Path | None = None
        self.backup: Path | None = None
        self.applied = False

    def prepare(self) -> None:
        """Write the content to a temporary file beside the target, and keep a link to the old file."""
        _check(self.path)
        self.target = target = Path(os.path.realpath(self.path))
        if target.exists() and not target.is_file():
            return
        handle, name = self._temporary()
        self.temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(self.content)
        os.umask(umask := os.umask(0))
        self.temporary.chmod(stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~umask)
        if target.exists():
            self._back_up()

    def apply(self) -> None:
        """Put the new file in the place of the old one."""
        if self.temporary is None:
            self.path.write_bytes(self.content)
            return
        self.temporary.replace(self.target)
        self.applied = True

    def undo(self) -> None:
        """Put the old file back, or remove the new one if there was none."""
        if not self.applied:
            return
        if self.backup is None:
            self.target.unlink()
        else:
            self.backup.replace(self.target)

    def clean(self) -> None:
        """Remove the temporary files that are left."""
        for path in (self.temporary, self.backup):
            if path is not None:
                path.unlink(missing_ok=True)

    def _temporary(self) -> tuple[int, str]:
        """A temporary file beside the target; its name is short enough for every file system."""
        return tempfile.mkstemp(dir=self.target.parent, prefix=f".{self.target.name[:32]}.")

    def _back_up(self) -> None:
        handle, name = self._temporary()
        os.close(handle)
        self.backup = Path(name)
        self.backup.unlink()
        try:
            self.backup.hardlink_to(self.target)
        except OSError:  # the file system has no links
            shutil.copy2(self.target, self.backup)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Inside the `with` block, raise `OutputError` with the path and the reason if it cannot be written."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
