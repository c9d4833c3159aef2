"""The cells of a CSV file or a frame, each with its place for messages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.display.records import rows_of
from mbanalyze.literature.accuracy.cells import AccuracyError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table before its cells are checked.

    Attributes:
        header: the place of the header, such as `line 1`.
        columns: the names of the columns.
        rows: the place of each row, such as `line 3`, and its filled cells.
    """

    header: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, Any]], ...]


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put a place in front of the message of an error in the `with` block, and raise it as `AccuracyError`."""
    try:
        yield
    except (ValueError, LookupError) as error:
        raise AccuracyError(f"{place}: {error}") from error


def read_csv(path: Path) -> RawTable:
    """Read a CSV file in UTF-8.

    Raises:
        AccuracyError: the file cannot be read, or is malformed.
    """
    lines = list(_lines(_text(path)))
    if len(lines) < 2:
        raise AccuracyError("it has no rows: give a header, and a line for each variant")
    (header, columns), *rest = lines
    with located(header):
        if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
            raise AccuracyError("separate the columns by commas")
    rows = []
    for place, cells in rest:
        if len(cells) != len(columns):
            raise AccuracyError(f"{place}: it has {len(cells)} cells, and the header has {len(columns)}")
        rows.append((place, {name: cell for name, cell in zip(columns, cells, strict=True) if cell}))
    return RawTable(header, tuple(columns), tuple(rows))


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """The place and the cells of each line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield f"line {reader.line_num}", [cell.strip() for cell in cells]
    except csv.Error as error:
        raise AccuracyError(f"line {reader.line_num}: {error}") from error


def _text(path: Path) -> str:
    """The text of a file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AccuracyError(f"it cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AccuracyError(f"line {line}: it is not UTF-8: save the file as CSV in UTF-8") from error
    if "\0" in text:
        raise AccuracyError("it is not a text file: save it as CSV in UTF-8")
    return text


def read_frame(frame: pd.DataFrame) -> RawTable:
    """Read a frame.

    Raises:
        AccuracyError: the frame is empty.
    """
    columns = tuple(str(name).strip() for name in frame.columns)
    if not len(frame):
        raise AccuracyError("it has no rows: give a row for each variant")
    rows = []
    for i, record in enumerate(rows_of(frame.set_axis(range(len(columns)), axis="columns"))):
        cells = zip(columns, record.values(), strict=True)
        rows.append((f"row {i}", {name: cell for name, cell in cells if cell is not None and cell != ""}))
    return RawTable("the header", columns, tuple(rows))
