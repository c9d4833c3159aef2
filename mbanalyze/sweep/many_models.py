"""Count all models of a package that match a pattern, and keep each count in a file that a later run resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.conventions.convention_names import find_convention
from mbanalyze.display import records
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import OwnAccuracy
from mbanalyze.report.network import TOTALS, versions
from mbanalyze.sources.patterns import matching_models
from mbanalyze.sources.processes import start_server
from mbanalyze.sources.references import import_package
from mbanalyze.sweep.figure_columns import traced_columns
from mbanalyze.sweep.grid import Grid, GridError, combinations, spelled
from mbanalyze.sweep.model_jobs import Row, Run, count_each
from mbanalyze.sweep.plain_columns import Columns
from mbanalyze.sweep.predicted_columns import TIME_COLUMNS, digest
from mbanalyze.sweep.resumed import CountsFile, ResumeError, require_equal
from mbanalyze.sweep.traced import TRACE_OPTIONS

if TYPE_CHECKING:
    import pandas as pd

REASONS = ("complete", "error", "counted_with")
"""The last columns: `error` is the reason if a model is not counted completely, and None if it is."""


def count_models(
    pattern: str,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    run: Run,
    own: OwnAccuracy | None = None,
) -> tuple[pd.DataFrame, OwnUse | None]:
    """Count each matching model with each combination of options; a count that fails has an `error`.

    Args:
        pattern: `PACKAGE:PATTERN`.
        inputs: the inputs of each forward; () for those that the package publishes.
        grid: the values of the options.
        settings: `dtype`, `bits` of a stored parameter, `convention` and `profile`; None if not given.
        run: processes, limits and files.
        own: the user's accuracy, whose metrics are the last columns.

    Returns:
        The frame with a row for each count, and the use of the user's accuracy.

    Raises:
        GridError: an option has no meaning for many models, or has the name of a column.
        AccuracyError: a row names no model, or two rows contradict each other.
        ResumeError, OutputError: `run.resume` cannot be continued or written.
        SourceError: no model matches, or the package cannot be imported.
    """
    if own:
        own.require_models(f"{pattern} stands for several")
    axes, fixed = _split(grid)
    given = fixed | {name: value for name, value in settings.items() if value is not None}
    times = TIME_COLUMNS if settings["profile"] else ()
    columns = ["model", *axes, "input", *TOTALS, *times, *REASONS]
    if taken := [name for name in axes if columns.count(name) > 1]:
        raise GridError(f"{taken[0]} is a column of the result, and cannot be an option of many models")
    rows = _rows(pattern, inputs, axes, given, run, columns)
    more, use = _own_columns(rows, axes, own) if own else ([{}] * len(rows), None)
    return _frame([row | metrics for row, metrics in zip(rows, more, strict=True)]), use


def _split(grid: Grid) -> tuple[Grid, dict[str, Any]]:
    """The values of the options that become columns, and the options of the trace."""
    if "rho" in grid:
        raise GridError("rho is a fraction of the input size of one model: give resolution for many models")
    fixed = {name: grid[name] for name in TRACE_OPTIONS if name in grid}
    for name, values in fixed.items():
        if len(values) > 1:
            raise GridError(f"{name} takes one value for many models")
    axes = {name: values for name, values in grid.items() if name not in TRACE_OPTIONS}
    if "resolution" in axes:
        axes["resolution"] = list(map(spelled, axes["resolution"]))
    return axes, {name: values[0] for name, values in fixed.items()}


def _rows(
    pattern: str,
    inputs: tuple[Any, ...],
    axes: Grid,
    settings: Mapping[str, Any],
    run: Run,
    columns: Sequence[str],
) -> list[Row]:
    """The rows of all counts: those of the file, and the others, which are written to it one by one."""
    file = CountsFile(run.resume, columns) if run.resume else None
    kept = file.open() if file else []
    package = pattern.partition(":")[0]
    if not run.executor:
        start_server([package])  # it imports torch while this process lists the models
    variants = [(model, each) for model in matching_models(pattern) for each in combinations(axes)]
    fixed = dict.fromkeys(columns) | {"counted_with": _counted_with(package, inputs, settings)}
    rows = [{**fixed, "model": model, **options} for model, options in variants]
    found = _known_counts(file, kept, rows) if file else {}
    left = [index for index in range(len(rows)) if index not in found]
    counts = count_each(package, [variants[index] for index in left], inputs, settings, run, len(found))
    for position, counted in counts:
        found[left[position]] = counted
        if file:
            file.append(rows[left[position]] | counted)
    if file:
        file.sort()
    return [row | found[index] for index, row in enumerate(rows)]


def _own_columns(
    rows: Sequence[Row], axes: Grid, own: OwnAccuracy
) -> tuple[list[dict[str, Any]], OwnUse | None]:
    """The user's columns of each row, and the use of the table."""
    columns: list[dict[str, Any]] = []
    matched: frozenset[str] = frozenset()
    for model, group in groupby(rows, key=itemgetter("model")):
        variants = [{name: row[name] for name in axes} for row in group]
        measured, use = traced_columns(own, model, variants)
        columns += measured
        matched |= use.matched
    return columns, OwnUse(own, matched, published=False)


def uncounted(variants: Columns | pd.DataFrame) -> list[tuple[str, str]]:
    """Return the reference of each model that is not counted completely, and the reason."""
    names = list(map(str, variants))
    if "error" not in names:
        return []
    axes = names[1 : names.index("input")] if "input" in names else []
    return [
        (spell_reference(row["model"], {name: row[name] for name in axes}), row["error"])
        for row in records.rows_of(variants)
        if row["error"]
    ]


def _counted_with(package: str, inputs: tuple[Any, ...], settings: Mapping[str, Any]) -> str:
    """The versions and settings that decide the counts, as `name=value` with spaces between."""
    version = getattr(import_package(package), "__version__", "unknown")
    known = {name: each for name, each in versions("torch").items() if name != "python"}
    given = {**known, package: version, **({"inputs": inputs} if inputs else {}), **settings}
    if "convention" in given:
        given["convention"] = find_convention(given["convention"]).label
    if "profile" in given:
        given["profile"] = digest(given["profile"])
    return " ".join(
        f"{name}={records.one_line(str(value).replace(' ', ''))}" for name, value in given.items()
    )


def _known_counts(file: CountsFile, kept: Sequence[Mapping[str, str]], rows: Sequence[Row]) -> dict[int, Row]:
    """The counts in a file by the index of their row, without those that failed: they are counted again."""
    indices = {file.key(row): index for index, row in enumerate(rows)}
    known = {}
    for row in kept:
        index = indices.get(file.key(row))
        if index is not None:
            require_equal(file.path, row["model"], row["counted_with"], rows[index]["counted_with"])
            if row["input"]:
                known[index] = _parsed(row, file.path)
    return known


def _parsed(row: Mapping[str, str], path: Path) -> Row:
    """The columns of a count from the text of a file."""
    try:
        totals = {name: _number(row[name]) for name in (*TOTALS, *TIME_COLUMNS) if name in row}
    except ValueError as error:
        raise ResumeError(f"{path} has a malformed count of {row['model']}: mend or remove it") from error
    return {
        "input": row["input"],
        **totals,
        "complete": row["complete"] == "True",
        "error": row["error"] or None,
    }


def _number(text: str) -> int | float | None:
    return None if not text else float(text) if "." in text or "e" in text else int(text)


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The frame of rows; counts are nullable integers if one of them is unknown."""
    import pandas as pd

    frame = records.frame(rows)
    for name in TOTALS:
        values = [row[name] for row in rows]
        if name == "arithmetic_intensity":
            frame[name] = frame[name].astype(float)
        elif None in values:
            frame[name] = pd.array(values, "Int64")
    times = [name for name in TIME_COLUMNS if name in frame]
    frame[times] = frame[times].astype(float)
    frame["complete"] = [row["complete"] is True for row in rows]
    return frame
