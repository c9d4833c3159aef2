"""Medians of alternating measurements, and their noise."""

from __future__ import annotations

import copy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.peers import Counter, quietly


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
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median


def alternating(work: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timed]:
    """Time each piece of work once a round, after a round that is not measured.

    Returns:
        The times by name, in the order of `work`. Work that raises is not repeated.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    errors: dict[str, str] = {}
    for _ in range(rounds + 1):
        for name, call in work.items():
            if name in errors:
                continue
            try:
                with quietly():
                    start = time.perf_counter()
                    call()
                    seconds[name].append(time.perf_counter() - start)
            except Exception as error:
                errors[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:80]}"
    return {
        name: Timed(error=errors[name]) if name in errors else Timed(tuple(seconds[name][1:]))
        for name in work
    }


def counters(module: nn.Module, side: int, known: Mapping[str, Counter], rounds: int) -> dict[str, Timed]:
    """Time counters on copies of one module in eval mode, with an image of `side` x `side` pixels."""
    image = torch.rand(1, 3, side, side)

    def counting(counter: Counter) -> Callable[[], object]:
        own = copy.deepcopy(module).eval()
        return lambda: counter(own, image)

    return alternating({name: counting(counter) for name, counter in known.items()}, rounds)


def processes(commands: Mapping[str, list[str]], rounds: int) -> dict[str, Timed]:
    """Time processes of this Python from start to end."""

    def running(arguments: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 (commands of this benchmark)

    return alternating({name: running(arguments) for name, arguments in commands.items()}, rounds)
