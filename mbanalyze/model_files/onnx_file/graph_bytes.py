"""The content of a file of ONNX without the elements of large tensors, which are skipped and never in memory.

A protocol buffer is a list of fields: a number, a type, and a content whose length stands before it.
Only the messages that can hold large tensors are opened; every other field is copied.
"""

from __future__ import annotations

from typing import BinaryIO

from mbanalyze.model_files.file_error import MAX_GRAPH_BYTES, MAX_NODES, ModelFileError

LARGE = 2**16
"""The least bytes of a field that is opened, or skipped if it has the elements of a tensor."""

_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
"""Message -> the fields that can hold large tensors, and the messages in them."""

_ELEMENTS = (4, 5, 6, 7, 9, 10, 11)
"""The fields of a tensor that hold its elements."""

_RAW_DATA = 9
_MAX_FIELDS = 6 * MAX_NODES
_MAX_OPENED = 40


class GraphBytes:
    """The content of a file of ONNX without the elements of large tensors.

    Attributes:
        content: the rest; a tensor without its elements says that they are stored outside, and how long they are.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read a file of `size` bytes.

        Raises:
            ModelFileError: the file is damaged, or the rest is larger than `MAX_GRAPH_BYTES`.
        """
        self._file = file
        self._place = 0
        self._fields = 0
        self.content = bytes(self._message("model", size, 0))

    def _message(self, message: str, end: int, depth: int) -> bytearray:
        """The rest of a message that ends at byte `end` of the file."""
        kept, skipped = bytearray(), 0
        parts = _PARTS[message] if depth < _MAX_OPENED else {}
        while self._place < end:
            tag = self._varint()
            field, kind = tag >> 3, tag & 7
            length = self._length(kind)
            self._check(length, end)
            if length > LARGE and message == "tensor" and field in _ELEMENTS:
                self._skip(length)
                skipped = length if field == _RAW_DATA else skipped or -1
                continue
            kept += _varint_bytes(tag)
            if length > LARGE and field in parts:
                inner = self._message(parts[field], self._place + length, depth + 1)
                kept += _varint_bytes(len(inner)) + inner
            elif kind == 0:
                kept += _varint_bytes(self._varint())
            else:
                _check_kept(len(kept) + length)
                kept += (_varint_bytes(length) if kind == 2 else b"") + self._read(length)
            _check_kept(len(kept))
        return kept + _stored_outside(skipped)

    def _check(self, length: int, end: int) -> None:
        """Raise an error for a field that ends after its message, or for too many fields."""
        self._fields += 1
        if length > end - self._place:
            raise ModelFileError(
                "a field ends after the end of the file, which is damaged or no file of ONNX"
            )
        if self._fields > _MAX_FIELDS:
            raise ModelFileError(f"the graph has more than {_MAX_FIELDS} nodes and descriptions of tensors")

    def _read(self, length: int) -> bytes:
        self._place += length
        return self._file.read(length)

    def _skip(self, length: int) -> None:
        self._place += length
        self._file.seek(length, 1)

    def _length(self, kind: int) -> int:
        """The bytes of a field of a type; 0 for a number, whose length is in its own bytes."""
        lengths = {0: 0, 1: 8, 5: 4}
        if kind != 2 and kind not in lengths:
            raise ModelFileError("a field has an unknown type, so the file is damaged or no file of ONNX")
        return self._varint() if kind == 2 else lengths[kind]

    def _varint(self) -> int:
        """A number of seven bits a byte, the least first."""
        value = shift = 0
        while shift < 70:
            byte = self._file.read(1)
            if not byte:
                break
            self._place += 1
            value |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return value
            shift += 7
        raise ModelFileError("a number does not end, so the file is damaged or no file of ONNX")


def _check_kept(length: int) -> None:
    """Raise an error if the rest of a file is larger than `MAX_GRAPH_BYTES`."""
    if length > MAX_GRAPH_BYTES:
        raise ModelFileError(
            f"the graph has more than {MAX_GRAPH_BYTES:,} bytes without the elements of its tensors"
        )


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def _stored_outside(skipped: int) -> bytes:
    """The fields of a tensor that say that its elements are stored outside: `data_location`, `external_data`."""
    if not skipped:
        return b""
    digits = str(skipped).encode()
    entry = b"\x0a\x06length\x12" + _varint_bytes(len(digits)) + digits
    return b"\x70\x01" + (b"\x6a" + _varint_bytes(len(entry)) + entry if skipped > 0 else b"")
