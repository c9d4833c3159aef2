"""An archive of `torch.save` in an archive: its entries are read at their place, without a copy of the whole."""

from __future__ import annotations

import io
import zipfile
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

_HEADER_BYTES = 30
"""The bytes of a header before the name of its entry."""


class FilePart(io.RawIOBase):
    """A part of a file, as a file that can be read."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        """Take the file, which is closed with this one, and the place of the part in bytes."""
        self._file = file
        self._start = start
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the place of the next byte that is read."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(origin + offset, 0)
        return self._place

    def tell(self) -> int:
        """Return the place of the next byte that is read."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        left = max(self._size - self._place, 0)
        self._file.seek(self._start + self._place)
        found = self._file.read(left if size is None or size < 0 else min(size, left))
        self._place += len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class NestedArchive:
    """An archive of `torch.save` that is an entry of another archive."""

    def __init__(self, path: Path, info: zipfile.ZipInfo) -> None:
        """Find the archive.

        Args:
            path: the file of the outer archive.
            info: the entry.

        Raises:
            ValueError, OSError, zipfile.BadZipFile: it is damaged, or compressed.
        """
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{info.filename} is compressed")
        with path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_HEADER_BYTES)
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        self._path = path
        self._place = info.header_offset + _HEADER_BYTES + lengths, info.compress_size
        with closing(self._opened()) as part, zipfile.ZipFile(part) as archive:
            self._entries = {each.filename.partition("/")[2]: each for each in archive.infolist()}

    def read(self, entry: str, size: int) -> bytes:
        """Return the first bytes of an entry, at most `size`. Its name lacks the folder of all entries.

        Raises:
            KeyError, OSError, zipfile.BadZipFile: there is none, or it is damaged.
        """
        with (
            closing(self._opened()) as part,
            zipfile.ZipFile(part) as archive,
            archive.open(self._entries[entry]) as content,
        ):
            return content.read(size)

    def _opened(self) -> FilePart:
        return FilePart(self._path.open("rb"), *self._place)
