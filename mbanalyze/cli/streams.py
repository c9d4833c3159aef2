"""The standard streams: closed ones become the null device, and a failed write to stdout is one clear error."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from mbanalyze.display.files import OutputError

SPELLED = "mbanalyze.spelled"
"""The error handler of the streams, which spells the characters that an encoding such as cp1252 lacks."""
_ASCII = {"≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "→": "->", "\N{MINUS SIGN}": "-"}


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace one character by ASCII characters of the same meaning, or by an escape."""
    if isinstance(error, UnicodeEncodeError):
        error.end = error.start + 1
        if found := _ASCII.get(error.object[error.start]):
            return found, error.end
    return codecs.backslashreplace_errors(error)


codecs.register_error(SPELLED, _spell)


def _reader_left(error: OSError) -> bool:
    """True for a write to a pipe without a reader; on Windows, it may look like an invalid argument."""
    return isinstance(error, BrokenPipeError) or (sys.platform == "win32" and error.errno == errno.EINVAL)


class _Stream:
    """A standard stream that discards everything after a failed write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=SPELLED)  # a name in another script must not fail

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        with self._guarded():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._guarded():
            self._stream.flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with suppress(OSError), _null() as null:  # what is still buffered goes there
                os.dup2(null.fileno(), self._stream.fileno())
            self.failed(error)

    def failed(self, error: OSError) -> None:
        """Ignore an error: no stream is left to report it."""


class _Stdout(_Stream):
    """Stdout, which must be written completely unless the reader has left, as `head` does."""

    problem: OutputError | None = None

    def flush(self) -> None:
        """Write what is buffered, and raise `OutputError` if anything could not be written."""
        super().flush()
        if self.problem:
            raise self.problem

    def failed(self, error: OSError) -> None:
        """Keep an error for the next `flush`, because libraries ignore errors when they probe a stream."""
        if not _reader_left(error):
            self.problem = OutputError(f"cannot write to stdout: {error.strerror}")


def reserve_descriptors() -> None:
    """Open the null device for each of the descriptors 0 to 2 that is closed, so that no file takes its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free descriptor
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 (open until the process ends)


@contextmanager
def guarded() -> Iterator[None]:
    """Inside the `with` block, a failed write to stdout raises `OutputError`, and one to stderr is ignored."""
    reserve_descriptors()
    with ExitStack() as opened:
        stdout, stderr = (each or opened.enter_context(_null()) for each in (sys.stdout, sys.stderr))
        opened.enter_context(redirect_stdout(cast("TextIO", _Stdout(stdout))))
        opened.enter_context(redirect_stderr(cast("TextIO", _Stream(stderr))))
        yield


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 (open until the process ends)
