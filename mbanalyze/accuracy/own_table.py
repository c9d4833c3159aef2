"""The user's own accuracy: a CSV file or a frame, with a row for each measured variant."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mbanalyze.accuracy.cells import (
    OPTIONS,
    PER_CENT,
    WRITTEN_COLUMNS,
    AccuracyError,
    metric_columns,
    metric_value,
    option_value,
)
from mbanalyze.archs import NAMES, find, name_of
from mbanalyze.archs.options import make, merge
from mbanalyze.display.records import one_line, rows_of
from mbanalyze.inputs.choices import nearest
from mbanalyze.inputs.parsing import spell_reference, split_reference
from mbanalyze.literature.figures import settings_of

if TYPE_CHECKING:
    import pandas as pd

    Accuracy: TypeAlias = "str | os.PathLike[str] | pd.DataFrame | OwnAccuracy"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A row of the user's table.

    Attributes:
        place: its place in the table, such as `line 3`.
        model: the architecture, or the model as the row spells it; "" if the row names none.
        options: the options that the row states, with those that an alias implies.
        metrics: the metrics that the row states.
    """

    place: str
    model: str
    options: Mapping[str, Any]
    metrics: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.place} ({spell_reference(self.model, self.options).removeprefix('@')})"


@dataclass(frozen=True, slots=True)
class OwnAccuracy:
    """The user's table.

    Attributes:
        name: the name of its file; "" for a frame.
        metrics: the columns with numbers, such as `top1`.
        rows: the rows that state a metric.
        ignored: the columns without a meaning here, such as `macs`.
    """

    name: str
    metrics: tuple[str, ...]
    rows: tuple[Measurement, ...]
    ignored: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The name of the table as a source of accuracy."""
        return f"yours ({self.name})" if self.name else "yours"

    @property
    def title(self) -> str:
        """The name of the table in messages."""
        return self.name or "the accuracy frame"

    def require_models(self, what: str) -> None:
        """Raise `AccuracyError` if a row names no model, because `what` has several."""
        for row in self.rows:
            if not row.model:
                raise AccuracyError(f"{self.title}: {row} names no model, and {what}: add a column model")


def read_accuracy(
    given: Accuracy, options: Collection[str] = (), models: Collection[str] = ()
) -> OwnAccuracy:
    """Read the user's accuracy.

    Args:
        given: the path of a CSV file, a frame, or a table that was read before.
        options: names of options, besides those of the architectures.
        models: names of models, besides architectures and references such as `net.py:build`.

    Raises:
        AccuracyError: the table cannot be read or is malformed; the message names the line.
    """
    if isinstance(given, OwnAccuracy):
        return given
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        name, title, rows_of_table = one_line(path.name), one_line(str(path)), partial(_csv_rows, path)
    elif hasattr(given, "columns") and hasattr(given, "isna"):
        name, title, rows_of_table = "", "the accuracy frame", partial(_frame_rows, given)
    else:
        raise AccuracyError(f"accuracy is the path of a CSV file or a frame, not {type(given).__name__}")
    with _named(title):
        columns, rows = rows_of_table()
        known = OPTIONS.union(options)
        metrics = metric_columns(columns, known)
        measured = [_measurement(place, cells, metrics, known, models) for place, cells in rows]
        stated = tuple(row for row in measured if row.metrics)
        if not stated:
            raise AccuracyError("no row has a value: fill in the metric of at least one variant")
        _check_per_cent(stated)
    ignored = tuple(c for c in columns if c in WRITTEN_COLUMNS and c not in options)
    return OwnAccuracy(name, tuple(metrics), stated, ignored)


@contextmanager
def _named(title: str) -> Iterator[None]:
    """Put a title in front of the messages of errors in the `with` block."""
    try:
        yield
    except (ValueError, LookupError) as error:
        raise AccuracyError(f"{title}: {error}") from error


_Rows = list[tuple[str, dict[str, Any]]]
"""The place and the filled cells of each row."""


def _csv_rows(path: Path) -> tuple[list[str], _Rows]:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    columns: list[str] = []
    rows: _Rows = []
    try:
        for cells in reader:
            texts = [cell.strip() for cell in cells]
            if not any(texts):
                continue
            if not columns:
                columns = texts
                if len(columns) == 1 and (";" in texts[0] or "\t" in texts[0]):
                    raise AccuracyError("line 1: separate the columns by commas")
                continue
            if len(texts) != len(columns):
                raise AccuracyError(
                    f"line {reader.line_num}: it has {len(texts)} cells, and the header has {len(columns)}"
                )
            filled = {name: text for name, text in zip(columns, texts, strict=True) if text}
            rows.append((f"line {reader.line_num}", filled))
    except csv.Error as error:
        raise AccuracyError(f"line {reader.line_num}: {error}") from error
    if not rows:
        raise AccuracyError("it has no rows: give a header, and a line for each variant")
    return columns, rows


def _text(path: Path) -> str:
    """The text of a CSV file."""
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


def _frame_rows(frame: pd.DataFrame) -> tuple[list[str], _Rows]:
    columns = [str(name).strip() for name in frame.columns]
    if not len(frame):
        raise AccuracyError("it has no rows: give a row for each variant")
    cells = [list(row.values()) for row in rows_of(frame.set_axis(range(len(columns)), axis="columns"))]
    return columns, [
        (f"row {i}", {name: cell for name, cell in zip(columns, row, strict=True) if cell not in (None, "")})
        for i, row in enumerate(cells)
    ]


def _measurement(
    place: str,
    cells: Mapping[str, Any],
    metrics: Collection[str],
    options: Collection[str],
    models: Collection[str],
) -> Measurement:
    """A row of the table, checked."""
    try:
        values = {name: metric_value(name, cells[name]) for name in metrics if name in cells}
        model, stated = _variant(cells, options, models)
        if values and not model and not stated:
            raise AccuracyError("it names no model and no option")
        return Measurement(place, model, stated, values)
    except (ValueError, LookupError) as error:
        raise AccuracyError(f"{place}: {error}") from error


def _variant(
    cells: Mapping[str, Any], options: Collection[str], models: Collection[str]
) -> tuple[str, dict[str, Any]]:
    """The model of a row, and the options of its reference and its columns."""
    model, stated = split_reference(str(cells.get("model", "")))
    columns = {name: option_value(name, cells[name]) for name in cells if name in options}
    for name, value in [*settings_of(str(cells.get("options", ""))).items(), *columns.items()]:
        if name in stated and stated[name] != value:
            raise AccuracyError(f"{name} is both {stated[name]} and {value}")
        stated[name] = value
    known = find(model)
    if known is None:
        if model and ":" not in model and model not in models:
            near = ", ".join(nearest(model, NAMES)) or ", ".join(NAMES)
            raise AccuracyError(f"unknown model {model!r}: nearest are {near}")
        return model, stated
    arch, implied = known
    stated = merge(model, implied, stated)
    spec = make(model, arch, {name: value for name, value in stated.items() if name != "batch"})
    return name_of(spec) or model, stated


def _check_per_cent(rows: Collection[Measurement]) -> None:
    """Raise `AccuracyError` if all accuracies are fractions."""
    for name in PER_CENT:
        given = [row for row in rows if name in row.metrics]
        if given and 0 < max(row.metrics[name] for row in given) <= 1:
            row = max(given, key=lambda row: row.metrics[name])
            value = row.metrics[name]
            raise AccuracyError(f"{row.place}: {name} is {value:g}: give per cent, such as {100 * value:g}")
