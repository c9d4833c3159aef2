"""The time of one run."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from mbanalyze.clock.machine import is_cuda


def time_once(run: Callable[[], object], device: str) -> float:
    """Return the nanoseconds that a function takes, with the work that it queues on a GPU."""
    if is_cuda(device):
        torch.cuda.synchronize(device)
    start = time.perf_counter_ns()
    run()
    if is_cuda(device):
        torch.cuda.synchronize(device)
    return float(time.perf_counter_ns() - start)
