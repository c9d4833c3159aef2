"""The time of each operator of a forward that runs on values."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from mbanalyze.trace.torch_internals import delay_gpu


class OperatorTimer:
    """Times each operator on the CPU, and keeps the times of those that are recorded."""

    def __init__(self) -> None:
        """Start without times."""
        self._last = 0
        self._times: list[int] = []

    def run(self, operator: Callable[[], Any]) -> Any:
        """Run an operator and time it."""
        start = time.perf_counter_ns()
        result = operator()
        self._last = time.perf_counter_ns() - start
        return result

    def assign(self) -> None:
        """Keep the time of the last operator, which is being recorded; 0 if it ran outside the timer."""
        self._times.append(self._last)
        self._last = 0

    def nanoseconds(self) -> tuple[float, ...]:
        """Return the times that were kept, in order."""
        return tuple(map(float, self._times))


class CudaOperatorTimer(OperatorTimer):
    """Times each operator on the GPU by events, while a delay keeps the GPU behind the CPU."""

    DELAY_CYCLES = 200_000_000
    """About 0.1 s: the CPU has to queue the whole forward before the GPU reaches it."""

    def __init__(self) -> None:
        """Keep the GPU busy."""
        super().__init__()
        self._pair: tuple[torch.cuda.Event, torch.cuda.Event] | None = None
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event] | None] = []
        # PyTorch has no public function that keeps a GPU busy for some time.
        delay_gpu(self.DELAY_CYCLES)

    def run(self, operator: Callable[[], Any]) -> Any:
        """Run an operator between two events."""
        start, end = _event(), _event()
        start.record()
        result = operator()
        end.record()
        self._pair = start, end
        return result

    def assign(self) -> None:
        """Keep the events of the last operator, which is being recorded."""
        self._pairs.append(self._pair)
        self._pair = None

    def nanoseconds(self) -> tuple[float, ...]:
        """Wait for the GPU and return the times that were kept, in order."""
        torch.cuda.synchronize()
        return tuple(pair[0].elapsed_time(pair[1]) * 1e6 if pair else 0.0 for pair in self._pairs)


def _event() -> torch.cuda.Event:
    """An event that notes when the GPU reaches it."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
