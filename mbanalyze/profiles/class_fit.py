"""The time of the operators of one class, as a linear function of their work."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mbanalyze.profiles.work import Work

Roof = Literal["compute", "activations", "weights", "overhead"]
ROOFS: tuple[Roof, ...] = ("compute", "activations", "weights", "overhead")
"""The four parts of a time; the largest is the roof that the operator hits."""


class TimeParts(NamedTuple):
    """The parts of the time of an operator, in nanoseconds.

    Attributes:
        compute: the part for its flops.
        activations: the part for the bytes of activations.
        weights: the part for the bytes of weights and buffers.
        overhead: the part that its sizes do not change.
    """

    compute: float
    activations: float
    weights: float
    overhead: float

    @property
    def roof(self) -> Roof:
        """The name of the largest part; the first of equal parts."""
        return ROOFS[self.index(max(self))]


class ClassFit(NamedTuple):
    """The fitted constants of a class.

    Attributes:
        flop_ns: nanoseconds for each flop.
        activation_byte_ns: nanoseconds for each byte of activations read or written.
        weight_byte_ns: nanoseconds for each byte of weights and buffers read.
        overhead_ns: nanoseconds for each operator.
        samples: how many operators were timed.
        deviation: natural logarithm of the factor within which 80 % of the samples are from the fit.
        largest: the most work of a sample, separately for each of its parts.
        in_place: True if samples come from anchor networks, False if all come from micro-benchmarks.
    """

    flop_ns: float
    activation_byte_ns: float
    weight_byte_ns: float
    overhead_ns: float
    samples: int
    deviation: float
    largest: Work
    in_place: bool

    def parts(self, work: Work) -> TimeParts:
        """Return the parts of the time of an operator."""
        return TimeParts(
            self.flop_ns * work.flops,
            self.activation_byte_ns * work.activation_bytes,
            self.weight_byte_ns * work.weight_bytes,
            self.overhead_ns,
        )

    def covers(self, work: Work) -> bool:
        """Return True if each part of the work is at most twice that of the largest sample."""
        return all(part <= 2 * most for part, most in zip(work, self.largest, strict=True))
