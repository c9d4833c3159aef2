"""A CSV file of counts that grows row by row, so that an interrupted run can continue."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbanalyze.display import records
from mbanalyze.display.files import OutputError, append, require_writable, write
from mbanalyze.inputs.documents import DocumentError, read_text

Cells = tuple[str, ...]
"""The cells of a row, as text."""


class ResumeError(ValueError):
    """A file that cannot be continued, and is left unchanged."""


@dataclass(frozen=True, slots=True)
class CountsFile:
    """A CSV file with one line for each count.

    Attributes:
        path: the file.
        columns: its header.
    """

    path: Path
    columns: Sequence[str]

    def open(self) -> list[dict[str, str]]:
        """Return the rows of the file as text; make the file if there is none, and remove a torn last line.

        Raises:
            ResumeError: the file is something else, or has other columns.
            OutputError: the file cannot be written.
        """
        require_writable(self.path)
        text = self._read()
        whole = text[: text.rfind("\n") + 1]
        if not whole and self._header.startswith(text):
            write(self.path, self._header)
            return []
        rows = self._parse(whole or text)
        if whole != text:
            write(self.path, whole)
        return rows

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a row at once, as a whole line.

        Raises:
            OutputError: the file cannot be written.
        """
        append(self.path, self._lines([row]))

    def sort(self) -> None:
        """Sort the file by model and options; if a row was counted again, keep the last count.

        Raises:
            ResumeError: the file was replaced by something else.
            OutputError: the file cannot be written.
        """
        rows = {self.key(row): row for row in self.open()}
        write(self.path, self._header + self._lines(rows[key] for key in sorted(rows, key=_natural)))

    def key(self, row: Mapping[str, Any]) -> Cells:
        """Return the cells that tell a row from the others: the model and its options."""
        names = _options(self.columns)
        return tuple(next(csv.reader([records.csv([row], names).split("\n", 1)[1]])))

    @property
    def _header(self) -> str:
        return records.csv([], self.columns)

    def _lines(self, rows: Iterable[Mapping[str, Any]]) -> str:
        return records.csv(list(rows), self.columns).split("\n", 1)[1]

    def _read(self) -> str:
        try:
            return read_text(self.path)
        except FileNotFoundError:
            return ""
        except DocumentError as error:
            raise ResumeError(f"cannot resume {self.path}: {error}") from error
        except OSError as error:
            raise OutputError(f"cannot read {self.path}: {error.strerror}") from error

    def _parse(self, text: str) -> list[dict[str, str]]:
        header, *lines = csv.reader(io.StringIO(text))
        if header[:1] != ["model"] or header[-1:] != ["counted_with"]:
            raise ResumeError(f"{self.path} does not hold the counts of models: give another file")
        if header != list(self.columns):
            theirs, ours = ({*names} for names in (header, self.columns))
            remedy = "give the same options as before, or another file"
            if _options(header) == _options(self.columns):  # another version wrote the file
                remedy = "give another file, or remove this one to count again"
            raise ResumeError(f"{self.path} has other columns ({_differences(theirs, ours)}): {remedy}")
        for number, cells in enumerate(lines, 2):
            if len(cells) != len(header):
                raise ResumeError(f"line {number} of {self.path} is not whole: mend or remove it")
        return [dict(zip(header, cells, strict=True)) for cells in lines]


def _options(columns: Sequence[str]) -> Sequence[str]:
    """The columns before the counts: the model and its options."""
    return columns[: columns.index("input")] if "input" in columns else columns


def require_equal(path: Path, model: str, theirs: str, ours: str) -> None:
    """Check that a count of a file was made with the versions and settings of this run.

    Raises:
        ResumeError: a version or setting differs.
    """
    if theirs != ours:
        differ = _differences({*theirs.split()}, {*ours.split()})
        raise ResumeError(
            f"{path} has a count of {model} with other versions or settings ({differ}): give another file, "
            "or remove this one to count again"
        )


def _differences(theirs: set[str], ours: set[str]) -> str:
    """The words that only the file has, and those that only this run has."""
    sides = {"the file": theirs - ours, "this run": ours - theirs}
    return (
        "; ".join(f"{side}: {', '.join(sorted(words))}" for side, words in sides.items() if words) or "order"
    )


def _natural(cells: Cells) -> list[list[tuple[float, str]]]:
    """A sort key that compares numbers in text by their value."""
    return [
        [
            (float(part), "") if part[:1].isdigit() else (-1, part)
            for part in re.split(r"(\d+(?:\.\d+)?)", cell)
        ]
        for cell in cells
    ]
