"""The times of operators that were measured, with their work."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mbanalyze.ops.record import Op
from mbanalyze.profiles.work import Work, work_of


class Sample(NamedTuple):
    """An operator that was timed.

    Attributes:
        op: the operator.
        work: its work.
        ns: its time in nanoseconds.
        in_place: True if it ran in an anchor network, False in a micro-benchmark.
    """

    op: Op
    work: Work
    ns: float
    in_place: bool


@dataclass(frozen=True, slots=True)
class TimedNetwork:
    """A network that was timed, as a whole and operator by operator.

    Attributes:
        name: its reference.
        ops: its operators.
        rounds: the times of the operators in each round, in nanoseconds.
        whole: the times of the whole forward in each round, in nanoseconds; empty for a micro-benchmark.
    """

    name: str
    ops: tuple[Op, ...]
    rounds: tuple[tuple[float, ...], ...]
    whole: tuple[float, ...] = ()

    @property
    def whole_ns(self) -> float:
        """The median time of the whole forward."""
        return statistics.median(self.whole)

    @property
    def operators_ns(self) -> list[float]:
        """The median time of each operator."""
        return list(map(statistics.median, zip(*self.rounds, strict=True)))

    def samples(self, itemsize: int) -> list[Sample]:
        """Return each operator with the median of its times; one of no time is left out, as it ran no kernel."""
        return [
            Sample(op, work_of(op, itemsize), ns, bool(self.whole))
            for op, ns in zip(self.ops, self.operators_ns, strict=True)
            if ns > 0
        ]


def samples_of(networks: Sequence[TimedNetwork], itemsize: int) -> list[Sample]:
    """Return the samples of several networks."""
    return [sample for network in networks for sample in network.samples(itemsize)]
