"""Opening a file, and nothing that only looks like one: a pipe would wait, and a device would not end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mbanalyze.model_files.file_error import ModelFileError


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, and yield it with its size in bytes.

    Raises:
        ModelFileError: it is missing, empty, a directory, a pipe or a device, or cannot be read.
    """
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a directory: give the file of the model in it")
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ModelFileError(f"{path} is no file, but a pipe or a device: save the model to a file")
            if not found.st_size:
                raise ModelFileError(f"{path} is empty: export the model again")
            yield file, found.st_size
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"cannot read {str(path)!r}: {error}") from error
