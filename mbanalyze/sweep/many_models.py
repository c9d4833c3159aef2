"""Count many models, each in a process of its own: a model that fails is named, and harms no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mbanalyze.display import records
from mbanalyze.inputs.parsing import spell_options, spell_reference
from mbanalyze.inputs.typed import is_whole
from mbanalyze.ops.cost import Cost
from mbanalyze.report.network import Report, versions
from mbanalyze.sources.patterns import matching_models
from mbanalyze.sources.processes import answers, cpus, start_server
from mbanalyze.sources.references import import_package, summarize
from mbanalyze.sources.resolve import count
from mbanalyze.sweep.grid import Grid, GridError, combinations
from mbanalyze.sweep.resumed import CountsFile, ResumeError, require_equal
from mbanalyze.sweep.traced import count_arguments

if TYPE_CHECKING:
    import pandas as pd

TOTALS = tuple(Cost().as_dict())
"""The columns of the totals."""
REASONS = ("complete", "error", "counted_with")
"""The last columns: `error` is the reason if a model is not counted completely, and None if it is."""

Variant = tuple[str, Mapping[str, Any]]
"""A reference and its options."""
Row = dict[str, Any]
"""The columns of one count, by name."""


class ModelsDone(float):
    """The finished fraction of a count of many models, from 0 to 1.

    Attributes:
        done: models that are counted or have failed, in every variant.
        total: all of them.
        failed: those that have failed.
        model: the reference of one that is being counted; "" at the end.
    """

    def __new__(cls, done: int, total: int, failed: int, model: str) -> Self:
        """Make the fraction `done / total`."""
        made = super().__new__(cls, done / total)
        made.done, made.total, made.failed, made.model = done, total, failed, model
        return made

    done: int
    total: int
    failed: int
    model: str


@dataclass(frozen=True, slots=True)
class Run:
    """The way in which many models are counted.

    Attributes:
        workers: processes at the same time; by default one per processor.
        executor: runs the counts instead of the processes.
        time_limit: seconds after which the process of a model is ended; None for no limit.
        resume: the CSV file that keeps each count; None for no file.
        progress: called with `ModelsDone` after each count.
    """

    workers: int | None = None
    executor: Executor | None = None
    time_limit: float | None = None
    resume: Path | None = None
    progress: Callable[[float], None] = lambda _: None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            GridError: the number of workers or the time limit is not above 0.
        """
        if self.workers is not None and not (is_whole(self.workers) and self.workers > 0):
            raise GridError(f"workers must be a whole number above 0, not {self.workers!r}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise GridError(f"time_limit must be a number of seconds above 0, not {self.time_limit!r}")

    def refuse(self, what: object) -> None:
        """Raise `GridError` if a setting is given that only many models of a package have."""
        given = {"workers": self.workers, "time_limit": self.time_limit, "resume": self.resume}
        if named := [name for name, value in given.items() if value is not None]:
            raise GridError(
                f"{named[0]} is for the models of a package, such as timm:mobilenet*, not for {what}"
            )


def count_models(
    pattern: str, inputs: tuple[Any, ...], axes: Grid, settings: Mapping[str, Any], run: Run
) -> pd.DataFrame:
    """Return one row for each matching model and combination of options; a count that fails has an `error`.

    Args:
        pattern: `PACKAGE:PATTERN`.
        inputs: the inputs of each forward; () for those that the package publishes.
        axes: the values of the options that become columns.
        settings: options of `count` that are equal for all models, and `bits` of a stored parameter.
        run: processes, limits and files.

    Raises:
        GridError: an option has the name of a column.
        ResumeError, OutputError: `run.resume` cannot be continued or written.
        SourceError: no model matches, or the package cannot be imported.
    """
    columns = ["model", *axes, "input", *TOTALS, *REASONS]
    if taken := [name for name in axes if columns.count(name) > 1]:
        raise GridError(f"{taken[0]} is a column of the result, and cannot be an option of many models")
    file = CountsFile(run.resume, columns) if run.resume else None
    kept = file.open() if file else []
    package = pattern.partition(":")[0]
    if not run.executor:
        start_server([package])  # it imports torch while this process lists the models
    variants = [(model, each) for model in matching_models(pattern) for each in combinations(axes)]
    counted_with = _counted_with(package, inputs, settings)
    rows = [
        {**dict.fromkeys(columns), "model": model, **options, "counted_with": counted_with}
        for model, options in variants
    ]
    known = _known_counts(file, kept, counted_with) if file else {}
    found = {i: known[file.key(row)] for i, row in enumerate(rows) if file and file.key(row) in known}
    left = {index: variant for index, variant in enumerate(variants) if index not in found}
    for index, counted in _count_each(left, len(variants), inputs, settings, run):
        found[index] = counted
        if file:
            file.append(rows[index] | counted)
    if file:
        file.sort()
    return _frame([row | found[index] for index, row in enumerate(rows)], columns)


def uncounted(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the reference of each model that is not counted completely, and the reason."""
    names = list(map(str, frame))
    axes = names[1 : names.index("input")] if "input" in names else []
    return [
        (spell_reference(row["model"], {name: row[name] for name in axes}), row["error"])
        for row in records.rows_of(frame)
        if row.get("error")
    ]


_Job = tuple[str, tuple[Any, ...], dict[str, Any], int | None]
"""A reference, inputs, options, and the bits of a stored parameter."""


def _job(variant: Variant, inputs: tuple[Any, ...], settings: Mapping[str, Any]) -> _Job:
    model, options = variant
    fixed = {name: value for name, value in settings.items() if name != "bits"}
    return model, inputs, {**options, **fixed}, settings.get("bits")


def _count(model: str, inputs: tuple[Any, ...], options: Mapping[str, Any], bits: int | None) -> Row:
    """The columns of a count, or the error that it raises."""
    try:
        what, inputs, options = count_arguments(model, inputs, options)
        report = count(what, *inputs, **options)
    except (ValueError, LookupError) as error:
        return {"error": records.one_line(str(error) or summarize(error))}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return {"error": records.one_line(f"unexpected {summarize(error)}")}
    return _totals(report, bits)


def _totals(report: Report, bits: int | None) -> Row:
    """The columns of a report."""
    totals = report.totals.as_dict(report.itemsize)
    if bits is not None:
        totals["params_bytes"] = -(-report.totals.params * bits // 8)
    missing = ", ".join(dict.fromkeys(each.operator for each in report.uncounted))
    return {
        "input": " ".join(map(records.shape, report.input)),
        **totals,
        "complete": report.complete,
        "error": f"operators without a formula: {missing}" if missing else None,
    }


def _count_each(
    variants: Mapping[int, Variant],
    total: int,
    inputs: tuple[Any, ...],
    settings: Mapping[str, Any],
    run: Run,
) -> Iterator[tuple[int, Row]]:
    """The number and columns of each variant, in the order in which they end."""
    jobs = [partial(_count, *_job(variant, inputs, settings)) for variant in variants.values()]
    packages = {model.partition(":")[0] for model, _ in variants.values()}
    counts = _in_executor(jobs, run.executor) if run.executor else _in_processes(jobs, packages, run)
    numbers, names = list(variants), [spell_reference(*variant) for variant in variants.values()]
    failed = 0
    for ended in range(len(jobs) + 1):
        running = names[ended:][: run.workers or cpus()]  # they start in order
        done = total - len(jobs) + ended
        run.progress(ModelsDone(done, total, failed, running[-1] if running else ""))
        if ended < len(jobs):
            position, counted = next(counts)
            failed += "input" not in counted
            yield numbers[position], counted


def _in_processes(
    jobs: Sequence[Callable[[], Row]], packages: Collection[str], run: Run
) -> Iterator[tuple[int, Row]]:
    started = answers(
        jobs, preload=sorted(packages), path=sys.path, workers=run.workers, time_limit=run.time_limit
    )
    for position, answer in started:
        yield position, {"error": answer.problem} if answer.problem else answer.value


def _in_executor(jobs: Sequence[Callable[[], Row]], executor: Executor) -> Iterator[tuple[int, Row]]:
    positions = {executor.submit(job): position for position, job in enumerate(jobs)}
    try:
        for future in as_completed(positions):
            yield positions[future], _result(future)
    finally:
        for future in positions:
            future.cancel()


def _result(future: Future[Row]) -> Row:
    """The columns of a job, or the error of an executor whose process ended."""
    error = future.exception()
    return future.result() if error is None else {"error": records.one_line(summarize(error))}


def _counted_with(package: str, inputs: tuple[Any, ...], settings: Mapping[str, Any]) -> str:
    """The versions and settings that decide the counts, as `name=value` with spaces between."""
    known = versions("torch") | {package: getattr(import_package(package), "__version__", "unknown")}
    given = {**({"inputs": inputs} if inputs else {}), **settings}
    spelled = {name: repr(value).replace(" ", "") for name, value in given.items()}
    return spell_options({name: known[name] for name in ("mbanalyze", "torch", package)} | spelled, " ")


def _known_counts(file: CountsFile, kept: Sequence[Mapping[str, str]], counted_with: str) -> dict[Any, Row]:
    """The counts in a file, without those that failed; they are counted again."""
    package = counted_with.split()[2].partition("=")[0]
    known = {}
    for row in kept:
        if row["model"].startswith(f"{package}:"):
            require_equal(file.path, row["model"], row["counted_with"], counted_with)
            if row["input"]:
                known[file.key(row)] = _parsed(row, file.path)
    return known


def _parsed(row: Mapping[str, str], path: Path) -> Row:
    """The columns of a count from the text of a file."""
    try:
        totals = {name: _number(row[name]) for name in TOTALS}
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


def _frame(rows: Sequence[Row], columns: Sequence[str]) -> pd.DataFrame:
    """The frame of rows; counts are nullable integers if one of them is unknown."""
    frame = records.frame(rows, columns)
    for name in TOTALS:
        if name == "arithmetic_intensity":
            frame[name] = frame[name].astype(float)
        elif frame[name].isna().any():
            frame[name] = frame[name].astype("Int64")
    frame["complete"] = frame["complete"].fillna(value=False).astype(bool)
    return frame
