"""The phases of a trace, hot and cold, beside its floor, and the gain of shortcuts."""

from __future__ import annotations

import contextlib
import copy
import importlib
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

import mbanalyze
from benchmarks import timing
from benchmarks.floor import floor
from benchmarks.markdown import table
from benchmarks.networks import SIDES, network
from benchmarks.profiled_files import files

NETWORKS = ("mobilenet_v2", "vit_b_16", "swin_t")
SIDE = SIDES[0]
TIMES = 3
"""Traces of a profile for each round of the benchmark."""

FORWARD, REST, FLOOR = "forward", "the rest", "floor"
CALLS = {
    "mbanalyze.trace.tracer:named_modules": "modules and parameters",
    "mbanalyze.trace.tracer:named_params": "modules and parameters",
    "mbanalyze.trace.tracer:_storages": "storages of parameters",
    "mbanalyze.trace.tracer:unseen_work": "final check",
    "mbanalyze.sources.resolved_model:rows": "costs of rows",
}
"""Functions of a trace by place, and their phases."""

CONTEXTS = {
    "mbanalyze.trace.tracer:preserve_state": ("snapshot of the model", REST, "restoring the model"),
    "mbanalyze.trace.tracer:_prepared": ("attribution", FORWARD, "restoring the model"),
}
"""Context managers of a trace by place, and the phases of their entry, body and exit."""

PHASES = (
    *("modules and parameters", "storages of parameters", "snapshot of the model", "attribution"),
    *(FORWARD, "restoring the model", "final check", "costs of rows", REST),
)


class Clock:
    """The seconds of each phase, without the phases inside it."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._phases = [REST]
        self._since = time.perf_counter()

    def _switch(self) -> None:
        """Add the time since the last switch to the running phase."""
        now = time.perf_counter()
        self.seconds[self._phases[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run a phase, which pauses the one outside."""
        self._switch()
        self._phases.append(name)
        try:
            yield
        finally:
            self._switch()
            self._phases.pop()

    def call(self, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """Return a function whose calls are a phase."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(phase):
                return function(*args, **kwargs)

        return timed

    def context(self, make: Callable[..., Any], phases: tuple[str, str, str]) -> Callable[..., Any]:
        """Return a context manager whose entry, body and exit are phases."""
        entry, body, leaving = phases

        @contextlib.contextmanager
        def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            """Enter and leave the context in phases of their own."""
            with self.phase(entry):
                manager = make(*args, **kwargs)
                entered = manager.__enter__()
            try:
                with self.phase(body):
                    yield entered
            finally:
                with self.phase(leaving):
                    manager.__exit__(*sys.exc_info())

        return timed


def found(place: str) -> tuple[Any, str]:
    """Return the module and the name of a place.

    Raises:
        AttributeError: the module does not have the name.
    """
    module, _, name = place.partition(":")
    home = importlib.import_module(module)
    getattr(home, name)
    return home, name


@contextlib.contextmanager
def phases_timed() -> Iterator[Clock]:
    """Time the phases of the traces inside the block."""
    clock = Clock()
    with contextlib.ExitStack() as patches:
        for place, phase in CALLS.items():
            home, name = found(place)
            patches.enter_context(mock.patch.object(home, name, clock.call(getattr(home, name), phase)))
        for place, phases in CONTEXTS.items():
            home, name = found(place)
            patches.enter_context(mock.patch.object(home, name, clock.context(getattr(home, name), phases)))
        with clock.phase(REST):
            yield clock


def traced(module: nn.Module) -> dict[str, float]:
    """Return the seconds of each phase of one count."""
    with phases_timed() as clock:
        mbanalyze.count(module, (1, 3, SIDE, SIDE))
    return dict(clock.seconds)


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def profile(module: nn.Module, rounds: int, before: Callable[[], object]) -> dict[str, float]:
    """Return the median milliseconds of each phase, the total and the floor; `before` runs ahead of each count."""
    lowest = floor(module, SIDE)
    measured: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        before()
        one = traced(module)
        before()
        one["total"] = seconds(lambda: mbanalyze.count(module, (1, 3, SIDE, SIDE)))
        before()
        one[FLOOR] = seconds(lowest)
        for name, each in one.items():
            measured.setdefault(name, []).append(each)
    return {name: 1e3 * statistics.median(each[1:]) for name, each in measured.items()}


def phase_rows(profiles: Sequence[dict[str, float]]) -> list[list[str]]:
    """Return a row for each phase, the total and the floor."""
    return [[name, *(f"{each.get(name, 0):.2f}" for each in profiles)] for name in (*PHASES, "total", FLOOR)]


def phases(rounds: int) -> str:
    """Measure the phases of each network, hot and cold."""
    header, profiles = ["milliseconds"], []
    for name in timing.tracked(NETWORKS, "phases of a trace"):
        module = network(name, SIDE)
        image = torch.rand(1, 3, SIDE, SIDE)
        runs = copy.deepcopy(module)

        def forward(runs: nn.Module = runs, image: Tensor = image) -> None:
            with torch.no_grad():
                runs(image)

        for state, before in (("hot", lambda: None), ("cold", forward)):
            header.append(f"{name}, {state}")
            profiles.append(profile(module, TIMES * rounds, before))
    return table(header, phase_rows(profiles))


def shortcuts(rounds: int) -> str:
    """Time counts with and without shortcuts."""
    rows = []
    for name in timing.tracked(NETWORKS, "shortcuts"):
        module = network(name, SIDE)
        work = {
            on: lambda module=module, on=on: mbanalyze.count(module, (1, 3, SIDE, SIDE), shortcuts=on)
            for on in (True, False)
        }
        timed = timing.alternating(work, rounds)
        times = (f"{1e3 * each.median:.2f} ± {100 * each.noise:.0f} %" for each in timed.values())
        rows.append([name, *times, f"{timed[False].median / timed[True].median:.1f}"])
    return table(["milliseconds, hot", "with shortcuts", "without", "ratio"], rows)


def measure(rounds: int) -> str:
    """Measure the phases, and the shares of files."""
    note = (
        "A hot trace follows another; a cold one follows a forward of the network on values. "
        "The floor calls the same modules; those that call no other return a kept result."
    )
    return "\n\n".join(
        [
            phases(rounds),
            note,
            files(network(NETWORKS[0], SIDE), (1, 3, SIDE, SIDE), TIMES * rounds),
            shortcuts(rounds),
        ]
    )
