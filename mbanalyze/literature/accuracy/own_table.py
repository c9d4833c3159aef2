"""The user's own accuracy: a CSV file or a frame, with a row for each measured variant."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mbanalyze.archs import NAMES, find, name_of
from mbanalyze.archs.options import make, merge
from mbanalyze.display.records import one_line
from mbanalyze.inputs.parsing import spell_reference, split_reference
from mbanalyze.literature.accuracy.cells import (
    OPTIONS,
    PER_CENT,
    WRITTEN_COLUMNS,
    AccuracyError,
    metric_columns,
    metric_value,
    option_value,
)
from mbanalyze.literature.accuracy.raw_table import RawTable, located, read_csv, read_frame
from mbanalyze.literature.accuracy.run_tables import read_runs
from mbanalyze.literature.figures import settings_of

if TYPE_CHECKING:
    import pandas as pd

    Accuracy: TypeAlias = "str | os.PathLike[str] | pd.DataFrame | OwnAccuracy"


FRAME = "the accuracy frame"
"""The name of a frame in messages."""


@dataclass(frozen=True, slots=True)
class MeasuredRow:
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

    @property
    def variant(self) -> str:
        """The model and the options as text."""
        return spell_reference(self.model, self.options).removeprefix("@")

    def __str__(self) -> str:
        return f"{self.place} ({self.variant})"


@dataclass(frozen=True, slots=True)
class OwnAccuracy:
    """The user's table.

    Attributes:
        name: the name of its file; "" for a frame.
        metrics: the columns with numbers, such as `top1`.
        rows: the rows that state a metric.
        ignored: the columns without a meaning here, such as `macs`.
        of_runs: True for runs that `mbanalyze train` wrote.
    """

    name: str
    metrics: tuple[str, ...]
    rows: tuple[MeasuredRow, ...]
    ignored: tuple[str, ...] = ()
    of_runs: bool = False

    @property
    def source(self) -> str:
        """The name of the table as a source of accuracy."""
        return f"yours ({self.name})" if self.name else "yours"

    @property
    def title(self) -> str:
        """The name of the table in messages."""
        return self.name or FRAME

    def require_models(self, what: str) -> None:
        """Raise `AccuracyError` if a row names no model, because `what` has several."""
        for row in self.rows:
            if not row.model:
                raise AccuracyError(f"{self.title}: {row} names no model, and {what}: add a column model")

    def about(self, model: str, options: Mapping[str, Any]) -> OwnAccuracy:
        """Return the table with this model in the rows that name none, and these options unless the row states them."""
        rows = tuple(
            row if row.model else replace(row, model=model, options={**options, **row.options})
            for row in self.rows
        )
        return replace(self, rows=rows)


def read_accuracy(
    given: Accuracy, options: Collection[str] = (), models: Collection[str] = ()
) -> OwnAccuracy:
    """Read the user's accuracy.

    Args:
        given: the path of a CSV file or of a folder of runs, a frame, or a table that was read before.
        options: names of options, besides those of the architectures.
        models: names of models, besides architectures and references such as `net.py:build`.

    Raises:
        AccuracyError: the table cannot be read or is malformed; the message names the line.
    """
    if isinstance(given, OwnAccuracy):
        return given
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        name, title = one_line(path.name), one_line(str(path))
        if path.is_dir():
            with located(title):
                return checked_runs(name, read_runs(path), options, models)
        read = partial(read_csv, path)
    elif hasattr(given, "columns") and hasattr(given, "isna"):
        name, title, read = "", FRAME, partial(read_frame, given)
    else:
        raise AccuracyError(
            f"accuracy is the path of a CSV file or of a folder of runs, or a frame, not {type(given).__name__}"
        )
    with located(title):
        return _checked(name, read(), OPTIONS.union(options), models)


def checked_runs(
    name: str, table: RawTable, options: Collection[str] = (), models: Collection[str] = ()
) -> OwnAccuracy:
    """Return the accuracy of runs.

    Args:
        name: the name of their folder.
        table: a row for each network.
        options: as for `read_accuracy`.
        models: as for `read_accuracy`.

    Raises:
        AccuracyError: a network is unknown, or has an option that it does not take.
    """
    return replace(_checked(name, table, OPTIONS.union(options), models), of_runs=True)


def _checked(name: str, table: RawTable, options: Collection[str], models: Collection[str]) -> OwnAccuracy:
    """The table with its cells checked."""
    with located(table.header):
        metrics = metric_columns(table.columns, options)
    measured = []
    for place, cells in table.rows:
        with located(place):
            measured.append(_measurement(place, cells, metrics, options, models))
    stated = tuple(row for row in measured if row.metrics)
    if not stated:
        raise AccuracyError("no row has a value: fill in the metric of at least one variant")
    _check_per_cent(stated)
    ignored = tuple(c for c in table.columns if c in WRITTEN_COLUMNS and c not in options)
    return OwnAccuracy(name, tuple(metrics), stated, ignored)


def _measurement(
    place: str,
    cells: Mapping[str, Any],
    metrics: Collection[str],
    options: Collection[str],
    models: Collection[str],
) -> MeasuredRow:
    """A row of the table, checked."""
    values = {name: metric_value(name, cells[name]) for name in metrics if name in cells}
    model, stated = _variant(cells, options, models)
    if values and not model and not stated:
        raise AccuracyError("it names no model and no option")
    return MeasuredRow(place, model, stated, values)


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
        foreign = model in models or ":" in model
        near = [] if foreign else get_close_matches(model, NAMES, n=1, cutoff=0.75)
        if near:
            raise AccuracyError(f"unknown model {model!r}: did you mean {near[0]}?")
        return model, stated
    arch, implied = known
    stated = merge(model, implied, stated)
    spec = make(model, arch, {name: value for name, value in stated.items() if name != "batch"})
    return name_of(spec) or model, {name: getattr(spec, name, value) for name, value in stated.items()}


def _check_per_cent(rows: Collection[MeasuredRow]) -> None:
    """Raise `AccuracyError` if all accuracies are fractions."""
    for name in PER_CENT:
        given = [row for row in rows if name in row.metrics]
        if given and 0 < max(row.metrics[name] for row in given) <= 1:
            row = max(given, key=lambda row: row.metrics[name])
            value = row.metrics[name]
            raise AccuracyError(f"{row.place}: {name} is {value:g}: give per cent, such as {100 * value:g}")
