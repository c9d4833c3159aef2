"""The other counters on one network, each in a process of its own."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mbanalyze.crosscheck.counters import COUNTERS, CounterError
from mbanalyze.display.files import OutputError
from mbanalyze.display.records import one_line
from mbanalyze.display.temporary import make_room, temporary_folder
from mbanalyze.sources.deferred_compiler import compiler_deferred
from mbanalyze.sources.process_server import load
from mbanalyze.sources.processes import Answer, answers, start_server
from mbanalyze.sources.references import PACKAGES, SourceError, summarize
from mbanalyze.sources.resolve import resolve

SLOWEST_FIRST = ("calflops", "ptflops-aten", "ptflops", "flop-counter-meta", "flop-counter")
"""The counters that import the most, which start first; the order of the others makes no difference."""
SHARED = {
    "torch._dynamo": {"ptflops-aten", "flop-counter-meta", "flop-counter"},
    "mbanalyze.crosscheck.counter_imports:import_packages": {"calflops", "ptflops-aten", "ptflops"},
}
"""The modules that the server imports, and the functions that it calls, once for all counters that need them."""
WORKERS = 2
"""The processes at the same time."""
INSTALL = "pip install 'mbanalyze[counters]'"


@dataclass(frozen=True, slots=True)
class CounterJobs:
    """The runs of counters on one network, with the arguments that `resolve` takes for it.

    Attributes:
        what: the network.
        inputs: the positional inputs of its forward.
        options: its options.
    """

    what: Any
    inputs: tuple[Any, ...]
    options: Mapping[str, Any]

    def start_server(self, counters: Sequence[str]) -> None:
        """Start the server for some counters: it imports torch while this process goes on."""
        start_server(self._preload(counters))

    def _preload(self, counters: Sequence[str]) -> list[str]:
        """The modules that the server imports."""
        package = self.what.partition(":")[0] if isinstance(self.what, str) else ""
        return [__name__, *_shared(counters), *([package] if package in PACKAGES else [])]

    def run(
        self, counters: Sequence[str], *, real: bool, time_limit: float, progress: Callable[[str], None]
    ) -> dict[str, Answer]:
        """Return the answer of each counter: its total, or the reason for a missing one.

        Args:
            counters: names of `COUNTERS`.
            real: run on filled weights and on values, as a trace with `real`.
            time_limit: seconds after which a counter is ended.
            progress: callback for the counters that have not ended.

        Raises:
            SourceError: the network cannot be sent to a process.
            OutputError: no temporary folder can be written.
        """
        left = sorted(counters, key=_rank)
        ordered, found = tuple(left), dict[str, Answer]()
        progress(_waiting(left))
        for name, answer in self._answers(ordered, real, time_limit):
            found[name] = answer
            left.remove(name)
            if left:
                progress(_waiting(left))
        return found

    def _answers(
        self, counters: Sequence[str], real: bool, time_limit: float
    ) -> Iterator[tuple[str, Answer]]:
        """The name and answer of each counter that ends; the network is written once for all of them."""
        sent = self._pickled()
        with temporary_folder() as folder:
            file = folder / "network.pickle"
            try:
                file.write_bytes(sent)
            except OSError as error:
                raise OutputError(
                    f"the network could not be written for its processes: {make_room()}"
                ) from error
            ended = answers(
                [partial(count_in_process, name, file, real=real) for name in counters],
                preload=self._preload(counters),
                path=sys.path,
                workers=WORKERS,
                time_limit=time_limit,
            )
            for index, answer in ended:
                yield counters[index], _unpacked(answer)

    def _pickled(self) -> bytes:
        """The bytes of the arguments for other processes, which have another `__main__` than this one."""
        reason = "its code is in __main__"
        try:
            sent = pickle.dumps(self)
            if b"__main__" not in sent:
                return sent
        except Exception as error:
            reason = summarize(error)
        name = self.what if isinstance(self.what, str) else type(self.what).__name__
        raise SourceError(
            f"{one_line(name)} cannot be sent to the processes of other counters ({reason}): "
            "give a reference, such as net.py:build"
        )


def count_in_process(counter: str, file: Path, *, real: bool) -> dict[str, Any]:
    """Return `total`, or `error`, of a counter for the network in a file; this process is the counter's own."""
    from mbanalyze.trace.forward_args import as_inputs, ones

    try:
        with compiler_deferred():
            for name in _shared([counter]):  # a copy of the server has imported them
                load(name)
            given: CounterJobs = pickle.loads(file.read_bytes())  # noqa: S301 (our own parent process wrote it)
            model = resolve(given.what, *given.inputs, **given.options)
            module = model.build(real).module.eval()
            filled = partial(as_inputs, real=True) if real else ones
            args, keywords = filled(module, model.inputs, model.keywords)
            return {"total": COUNTERS[counter](module, args, keywords)}
    except BaseException as error:
        return {"error": _reason(error)}


def _reason(error: BaseException) -> str:
    """The first cause of an error, in one line; the place in the code if the cause has no words."""
    while error.__cause__:
        error = error.__cause__
    reason = str(error) if isinstance(error, CounterError) else summarize(error)
    if not str(error).strip() and error.__traceback__:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{reason} at {Path(last.filename).name}:{last.lineno}: {last.line}"
    if isinstance(error, ModuleNotFoundError):  # calflops does not require all that it imports
        reason = f"{reason}: {INSTALL}"
    return one_line(reason)


def installed(package: str) -> str:
    """Return the version of an installed package; "" if it is not installed."""
    try:  # setuptools once wrote the number of a post-release after a dash
        return version(package).replace("-", ".post") if find_spec(package) else ""
    except PackageNotFoundError:
        return ""


def _shared(counters: Sequence[str]) -> list[str]:
    """The modules and functions of `SHARED` that some counters need."""
    return [name for name, users in SHARED.items() if not users.isdisjoint(counters)]


def _rank(counter: str) -> int:
    """The place of a counter in the order of their starts."""
    return (*SLOWEST_FIRST, counter).index(counter)


def _waiting(counters: Sequence[str]) -> str:
    return f"waiting for {', '.join(counters)}"


def _unpacked(answer: Answer) -> Answer:
    """The answer with the total as its value, or the error of the counter as its problem."""
    if answer.problem:
        return answer
    return Answer(answer.value.get("total"), answer.value.get("error", ""))
