"""Count models in processes of their own, several at the same time: one that fails harms no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from mbanalyze.display import records
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.typed import is_whole
from mbanalyze.profiles.predicted_time import UnmeasuredError, predict_time
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report
from mbanalyze.sources.processes import answers, cpus
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import count
from mbanalyze.sweep.grid import GridError
from mbanalyze.sweep.predicted_columns import TIME_COLUMNS
from mbanalyze.sweep.traced import count_arguments

Variant = tuple[str, Mapping[str, Any]]
"""A reference and its options."""
MODELS_OF_PROCESS = 8
"""The most models that a process counts: starting one takes a third as long as counting a model."""
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

    def refuse(self, what: object, *, factory: bool = False) -> None:
        """Raise `GridError` if a setting is given that only many models of a package have, or a factory too."""
        given = {
            "workers": None if factory else self.workers,
            "time_limit": self.time_limit,
            "resume": self.resume,
        }
        if named := [name for name, value in given.items() if value is not None]:
            raise GridError(
                f"{named[0]} is for the models of a package, such as timm:mobilenet*, not for {what}"
            )


def count_each(
    package: str,
    variants: Sequence[Variant],
    inputs: tuple[Any, ...],
    settings: Mapping[str, Any],
    run: Run,
    known: int = 0,
) -> Iterator[tuple[int, Row]]:
    """Count variants; yield the position of each and its columns, in the order in which they end.

    The columns are `input`, the totals, `complete` and `error`, or `error` alone.

    Args:
        package: package of the models, which is imported once for all processes.
        variants: variants.
        inputs: inputs of each forward; () for those that the package publishes.
        settings: options of `count` that are equal for all models, `bits` of a stored parameter, and `profile`.
        run: processes and limits.
        known: variants that are counted already, for the progress.
    """
    more = {name: settings.get(name) for name in ("bits", "profile")}
    fixed = {name: value for name, value in settings.items() if name not in more}
    jobs = [partial(_count, model, inputs, {**o, **fixed}, **more) for model, o in variants]
    counts = _in_executor(jobs, run.executor) if run.executor else _in_processes(jobs, package, run)
    names = [spell_reference(*variant) for variant in variants]
    ended = failed = 0

    def tell() -> None:
        """Report the progress; jobs start in order."""
        running = names[ended:][: run.workers or cpus()]
        done = ModelsDone(known + ended, known + len(jobs), failed, running[-1] if running else "")
        run.progress(done)

    tell()
    for position, counted in counts:
        yield position, counted
        ended += 1
        failed += "input" not in counted
        tell()


def _count(
    model: str,
    inputs: tuple[Any, ...],
    options: Mapping[str, Any],
    bits: int | None,
    profile: Profile | None,
) -> Row:
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
    return _totals(report, bits, profile)


def _totals(report: Report, bits: int | None, profile: Profile | None) -> Row:
    """The columns of a report, with its predicted time if there is a profile."""
    totals = report.total_counts()
    if bits is not None:
        totals["params_bytes"] = -(-report.totals.params * bits // 8)
    missing = ", ".join(dict.fromkeys(each.operator for each in report.uncounted))
    problem = f"operators without a formula: {missing}" if missing else None
    try:
        times = predict_time(report.ops, profile).total._asdict() if profile else {}
    except UnmeasuredError as error:
        times = dict.fromkeys(TIME_COLUMNS)
        problem = problem or str(error)
    return {
        "input": " ".join(map(records.shape, report.input)),
        **totals,
        **times,
        "complete": report.complete,
        "error": problem,
    }


def _in_processes(jobs: Sequence[Callable[[], Row]], package: str, run: Run) -> Iterator[tuple[int, Row]]:
    ended = answers(
        jobs,
        preload=[package],
        path=sys.path,
        workers=run.workers,
        time_limit=run.time_limit,
        reuse=MODELS_OF_PROCESS,
    )
    for position, answer in ended:
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
