"""`explain`: runs other counters on a network, and breaks the gap of each from our macs down."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mbanalyze.conventions.convention import Convention, ConventionError, Difference, Record
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.counter_jobs import INSTALL, CounterJobs, installed
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.display.records import one_line
from mbanalyze.inputs.choices import choose
from mbanalyze.sources.file_models import is_graph, no_module
from mbanalyze.sources.processes import Answer
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import Countable, resolve


class TimeLimitError(ValueError):
    """A time limit that is not above zero."""


def explain(
    what: Countable,
    /,
    *inputs: Any,
    counters: Iterable[str] | None = None,
    real: bool | None = None,
    keep: bool = False,
    time_limit: float = 120,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> ExplainedTotals:
    """Run other counters on a network, and break the gap of each from our macs down into named differences.

    Each counter runs on the same module and input, in a process of its own, two at a time.
    A counter that is not installed, crashes or hangs has an error in place of a total.

    Args:
        what: the network, as `mbanalyze.count` takes it. A module is sent to the processes with `pickle`.
        inputs: the inputs of its forward pass, as for `count`.
        counters: the names of the counters; all by default.
        real: as for `count`.
        keep: assume that operators which select by value keep every candidate.
        time_limit: seconds after which a counter is ended.
        progress: callback for the name of the step that begins, with the counters that have not ended.
        options: hyper-parameters of the network, as for `count`.

    Raises:
        ShapeError, TraceError, SourceError: the network could not be built or traced, or not be sent to a process.
        ChoiceError: a counter is unknown.
        ModelFileError: the network is a file without a module.
        TimeLimitError: the time limit is not above zero.

    >>> explained = explain("squeezenet1_1", counters=["fvcore"], resolution=64)
    >>> explained.explained
    True
    """
    names = _chosen(counters)
    if is_graph(what):
        no_module(str(what), "mbanalyze check compares it with the file itself")
    if not time_limit > 0:
        raise TimeLimitError(f"the time limit must be a number of seconds above 0, not {time_limit!r}")
    jobs, progress = CounterJobs(what, inputs, dict(options)), progress or (lambda _: None)
    versions = {name: installed(CONVENTIONS[name].package) for name in names}
    present = [name for name in names if versions[name]]
    if present:
        jobs.start_server(present)
    progress("tracing the module")
    report = resolve(what, *inputs, **options).report(calls=True, real=real, keep=keep)
    found = jobs.run(present, real=report.real, time_limit=time_limit, progress=progress)
    missing = Answer(problem=f"not installed: {INSTALL}")
    results = (
        counter_result(CONVENTIONS[name], versions[name], found.get(name, missing), report.record)
        for name in names
    )
    return ExplainedTotals(report, tuple(results))


def _chosen(counters: Iterable[str] | None) -> list[str]:
    """The names of counters, each once."""
    given = [counters] if isinstance(counters, str) else COUNTERS if counters is None else counters
    return list(dict.fromkeys(choose("counter", name, COUNTERS) for name in given))


def counter_result(convention: Convention, version: str, answer: Answer, record: Record) -> CounterResult:
    """Return the result of a counter: its total, and the differences from our macs by the rules of its convention.

    If the rules stop at an error, the whole gap is unexplained, and the error says so.
    """
    name, unit = convention.name, convention.unit
    if answer.problem:
        return CounterResult(name, version, None, unit, (), None, answer.problem)
    parts, error = list[Difference](), None
    try:
        parts = sorted(convention.differences(record), key=lambda part: -abs(part.amount))
    except Exception as stopped:
        reason = str(stopped) if isinstance(stopped, ConventionError) else summarize(stopped)
        error = one_line(f"the rules do not cover this network: {reason}")
    rest = answer.value - sum(record.macs) - sum(part.amount for part in parts)
    return CounterResult(name, version, answer.value, unit, tuple(parts), rest, error)
