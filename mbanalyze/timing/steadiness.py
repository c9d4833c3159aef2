"""The refusal of times whose repeats disagree, because other programs used the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

MOST_SPREAD = 0.15
"""The largest share by which the repeats of a usual network may differ."""

MOST_WAITING = 0.1
"""The largest share of the time in which a calibration may wait for the processor."""


class UnsteadyError(RuntimeError):
    """A machine whose times differ too much from one repeat to the next."""


def spread_of(times: Sequence[float]) -> float:
    """Return the range of the middle half of repeated times, as a share of their median."""
    first, middle, third = statistics.quantiles(times, n=4, method="inclusive")
    return (third - first) / middle


def require_steady(series: Sequence[Sequence[float]]) -> float:
    """Return the median spread of several series of repeated times.

    Raises:
        UnsteadyError: it is above `MOST_SPREAD`.
    """
    spread = statistics.median(map(spread_of, series))
    if spread > MOST_SPREAD:
        raise UnsteadyError(
            f"repeats of one network differ by {100 * spread:.0f} %, more than {100 * MOST_SPREAD:.0f} %: "
            "stop other programs on this machine and calibrate again"
        )
    return spread


class BusyClock:
    """The time that this thread computed since its start, beside the time that passed.

    A thread that waits for the other threads of torch counts as computing: it spins, unless the machine is busy.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        """Start.

        Args:
            seconds: the time that the clock will run, so that a wait can be refused before its end.
        """
        self._seconds = seconds
        self._passed, self._computed = time.perf_counter(), time.thread_time()

    def require_idle(self) -> None:
        """Raise `UnsteadyError` if other programs took the processor for more than `MOST_WAITING` of the time.

        The time is the planned one if less has passed: work that has to be refused at its end is refused at once.
        """
        passed = time.perf_counter() - self._passed
        waited = passed - (time.thread_time() - self._computed)
        if waited > MOST_WAITING * max(passed, self._seconds):
            raise UnsteadyError(
                f"other programs took the processor for {100 * waited / passed:.0f} % of the time: "
                "stop them and calibrate again"
            )
