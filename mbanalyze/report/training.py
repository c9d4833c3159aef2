"""The cost of a training step, beside that of the forward pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mbanalyze.ops.cost import Count
from mbanalyze.ops.record import Op
from mbanalyze.training.backward_cost import backward
from mbanalyze.training.optimizer_state import gradient_bytes, state_bytes, trainable
from mbanalyze.training.saved_bytes import saved_bytes


class TrainingCounts(NamedTuple):
    """The cost of training an operator, or a sum of operators; None is unknown.

    Attributes:
        backward_macs: multiply-accumulates of the gradients of inputs and weights.
        backward_flops: all arithmetic of the backward pass, two per multiply-accumulate.
        saved_bytes: bytes of activations that are kept for the backward pass.
    """

    backward_macs: Count = 0
    backward_flops: Count = 0
    saved_bytes: Count = 0


TRAINING_COLUMNS = TrainingCounts._fields
"""The columns that training adds to the rows of a report."""
TRAINING_TOTALS = (*TRAINING_COLUMNS, "gradient_bytes", "optimizer_bytes", "step_peak_bytes")
"""The totals that training adds to a report."""


@dataclass(frozen=True, slots=True)
class Training:
    """The cost of a training step.

    Attributes:
        optimizer: the name of the optimizer, one of `OPTIMIZERS`.
        counts: the cost of each operator of the record.
        gradient_bytes: the bytes of the gradients of all parameters.
        optimizer_bytes: the bytes that the optimizer keeps from step to step.
        peak: the bytes in memory at the peak of a step, by content; parameters and buffers are among them.
        phase: the phase of the step at the peak: `forward`, `backward` or `optimizer`.
    """

    optimizer: str
    counts: tuple[TrainingCounts, ...]
    gradient_bytes: int
    optimizer_bytes: int
    peak: Mapping[str, int]
    phase: str

    @property
    def step_peak_bytes(self) -> int:
        """The most bytes in memory at once during a step."""
        return sum(self.peak.values())

    def step_totals(self) -> dict[str, Count]:
        """Return the totals that belong to the step as a whole."""
        return {
            "gradient_bytes": self.gradient_bytes,
            "optimizer_bytes": self.optimizer_bytes,
            "step_peak_bytes": self.step_peak_bytes,
        }


def training_of(
    ops: Sequence[Op],
    itemsize: int,
    frozen: Collection[int],
    optimizer: str,
    peak: Mapping[str, int],
    phase: str,
) -> Training:
    """Return the cost of a training step, by rules on the record.

    Args:
        ops: the record of a forward pass in training mode.
        itemsize: bytes of an element whose size is not fixed.
        frozen: the numbers of the weights that require no gradient.
        optimizer: as in `Training`.
        peak: as in `Training`.
        phase: as in `Training`.
    """
    costs, saved = backward(ops, frozen), saved_bytes(ops, itemsize, frozen)
    counts = [TrainingCounts(*cost, kept) for cost, kept in zip(costs, saved, strict=True)]
    params = trainable(ops, frozen)
    state = state_bytes(optimizer, params, itemsize)
    return Training(optimizer, tuple(counts), gradient_bytes(params, itemsize), state, peak, phase)


def sum_of(counts: Iterable[TrainingCounts]) -> TrainingCounts:
    """Return the sum of the known counts; a sum is None if each of several counts is unknown."""
    columns = zip(*counts, strict=True)
    sums = ([count for count in column if count is not None] for column in columns)
    return TrainingCounts(*(sum(known) if known else None for known in sums))
