"""The predicted time of a network, operator by operator, with an interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, fsum, sqrt
from typing import NamedTuple

from mbanalyze.ops.record import Op
from mbanalyze.profiles.class_fit import ROOFS, TimeParts
from mbanalyze.profiles.operator_class import class_of, general_class_of
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.profiles.work import work_of

_NS_PER_MS = 1e6


class UnmeasuredError(ValueError):
    """A network with operators of kinds that a profile has no time for."""


class OperatorTime(NamedTuple):
    """The predicted time of an operator.

    Attributes:
        op: the operator.
        parts: the parts of its time.
        is_covered: True if operators of its class and of similar size were timed.
        deviation: natural logarithm of the factor within which 80 % of the timed operators are.
    """

    op: Op
    parts: TimeParts
    is_covered: bool
    deviation: float

    @property
    def ns(self) -> float:
        """The time in nanoseconds."""
        return fsum(self.parts)


class TimeRange(NamedTuple):
    """A predicted time and its 80 % interval, in milliseconds."""

    predicted_ms: float
    low_ms: float
    high_ms: float

    def overlaps(self, other: TimeRange) -> bool:
        """Return True if the intervals have a time in common, so that their order is not known."""
        return self.low_ms <= other.high_ms and other.low_ms <= self.high_ms


@dataclass(frozen=True, slots=True)
class PredictedTime:
    """The predicted time of a network.

    Attributes:
        operators: the time of each operator, in order; they add up to the time of the network.
        deviation: natural logarithm of the factor within which 80 % of networks should be from their prediction.
    """

    operators: tuple[OperatorTime, ...]
    deviation: float

    @property
    def coverage(self) -> float:
        """The share of the time that covered operators take; 1 for a network without operators."""
        whole = fsum(each.ns for each in self.operators)
        return fsum(each.ns for each in self.operators if each.is_covered) / whole if whole else 1.0

    @property
    def parts(self) -> TimeParts:
        """The parts of the time of the network, in nanoseconds."""
        return TimeParts(*(fsum(each.parts[part] for each in self.operators) for part in range(len(ROOFS))))

    @property
    def total(self) -> TimeRange:
        """The time of the network."""
        return self.of(self.operators)

    def of(self, operators: Iterable[OperatorTime]) -> TimeRange:
        """Return the time of some operators.

        The factor of the interval is that of whole networks, or that of independent errors of the operators if
        it is wider. Operators that are not covered widen it by their own factor.
        """
        chosen = list(operators)
        whole = fsum(each.ns for each in chosen)
        if not whole:
            return TimeRange(0.0, 0.0, 0.0)
        independent = sqrt(fsum((each.ns * each.deviation) ** 2 for each in chosen)) / whole
        unknown = fsum(each.ns * each.deviation for each in chosen if not each.is_covered) / whole
        factor = exp(max(self.deviation, independent) + unknown)
        milliseconds = whole / _NS_PER_MS
        return TimeRange(milliseconds, milliseconds / factor, milliseconds * factor)


def predict_time(ops: Sequence[Op], profile: Profile) -> PredictedTime:
    """Return the time that the machine of a profile takes for the operators of a network.

    Raises:
        UnmeasuredError: the profile has no time for the kind of an operator.
    """
    if missing := Counter(general_class_of(op) for op in ops if not profile.fit_of(op)):
        kinds = ", ".join(f"{kind} x {times}" for kind, times in missing.items())
        raise UnmeasuredError(
            f"the profile has no times for {kinds}: make one with 'mbanalyze calibrate' and this network as --anchor"
        )
    times = [_operator_time(op, profile) for op in ops]
    idle = profile.launch_ns - fsum(each.ns for each in times) / len(times) if times else 0.0
    if profile.launch_ns and idle > 0:  # the device waits for the CPU
        times = [_with_overhead(each, idle) for each in times]
    return PredictedTime(tuple(times), profile.deviation)


def _operator_time(op: Op, profile: Profile) -> OperatorTime:
    """The time of an operator by the fit of its class, with the step to the next operator."""
    work, own = work_of(op, profile.itemsize), profile.classes.get(class_of(op))
    fit = own or profile.general[general_class_of(op)]
    parts = fit.parts(work)
    parts = parts._replace(
        activations=parts.activations + profile.step_byte_ns * work.activation_bytes,
        overhead=parts.overhead + profile.step_ns,
    )
    return OperatorTime(op, parts, bool(own and own.covers(work)), fit.deviation)


def _with_overhead(time: OperatorTime, nanoseconds: float) -> OperatorTime:
    return time._replace(parts=time.parts._replace(overhead=time.parts.overhead + nanoseconds))
