"""Medians of alternating measurements, and their noise."""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from benchmarks.peers import Counter, quietly

T = TypeVar("T")
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of repeated measurements; if it failed, no seconds and the error."""

    seconds: tuple[float, ...] = ()
    error: str = ""

    @property
    def median(self) -> float:
        """The median of the seconds."""
        return statistics.median(self.seconds)

    @property
    def noise(self) -> float:
        """Half the interquartile range, as a share of the median."""
        return noise(self.seconds)


def noise(numbers: Sequence[float]) -> float:
    """Return half the interquartile range, as a share of the median."""
    low, _, high = statistics.quantiles(numbers, n=4)
    return (high - low) / 2 / statistics.median(numbers)


def tracked(items: Iterable[T], what: str) -> Iterator[T]:
    """Yield items with a progress bar on stderr; a line at the start if it is no terminal."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"{what}\n")
    yield from track(
        list(items), what, transient=True, console=Console(stderr=True), disable=not sys.stderr.isatty()
    )


def summary(error: BaseException) -> str:
    """Return the type of an error and the beginning of its first line."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:120]}"


def repeated(
    work: Mapping[Name, Callable[[], T]], rounds: int
) -> tuple[dict[Name, list[T]], dict[Name, str]]:
    """Do each piece of work once a round, after a round that is left out.

    Returns:
        The results by name, in the order of `work`, and the errors. Work that raises is not repeated.
    """
    results: dict[Name, list[T]] = {name: [] for name in work}
    errors: dict[Name, str] = {}
    for _ in range(rounds + 1):
        for name, call in work.items():
            if name not in errors:
                try:
                    results[name].append(call())
                except Exception as error:
                    errors[name] = summary(error)
    return {name: done[1:] for name, done in results.items() if name not in errors}, errors


def alternating(work: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, Timed]:
    """Time each piece of work once a round, after a round that is not measured.

    Returns:
        The times by name, in the order of `work`. Work that raises is not repeated.
    """

    def timed(call: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            with quietly():
                start = time.perf_counter()
                call()
                return time.perf_counter() - start

        return seconds

    done, errors = repeated({name: timed(call) for name, call in work.items()}, rounds)
    return {name: Timed(tuple(done.get(name, ())), errors.get(name, "")) for name in work}


def counters(module: nn.Module, side: int, known: Mapping[str, Counter], rounds: int) -> dict[str, Timed]:
    """Time counters on copies of one module in eval mode, with an image of `side` x `side` pixels."""
    image = torch.rand(1, 3, side, side)

    def counting(counter: Counter) -> Callable[[], object]:
        own = copy.deepcopy(module).eval()
        return lambda: counter(own, image)

    return alternating({name: counting(counter) for name, counter in known.items()}, rounds)
