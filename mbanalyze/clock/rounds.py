"""Alternating rounds of what is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

Progress = Callable[[float], None]
"""A callback that receives the completed fraction, up to 1."""

MIN_ROUNDS = 5
"""The least number of rounds, unless another one is given."""


def alternate(
    steps: Sequence[Callable[[], object]],
    seconds: float,
    least: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Run every step once in each round, so that a slow moment affects all of them; return the rounds.

    Args:
        steps: functions that time one thing each and keep its time.
        seconds: the time to spend; the last round may take longer.
        least: the least number of rounds, which may take longer too; by default `MIN_ROUNDS`.
        progress: receives the completed fraction after each step.
    """
    least = MIN_ROUNDS if least is None else least
    rounds, start = 0, time.monotonic()
    while rounds < least or time.monotonic() - start < seconds:
        for done, step in enumerate(steps, 1):
            step()
            if progress is not None:
                in_time = (time.monotonic() - start) / seconds if seconds else 1.0
                progress(min(in_time, (rounds + done / len(steps)) / least, 1.0))
        rounds += 1
    return rounds
