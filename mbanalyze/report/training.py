"""The cost of a training step, beside that of the forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

from mbanalyze.ops.cost import Count, sums
from mbanalyze.ops.record import Op
from mbanalyze.report.measured_step import MeasuredStep, differences
from mbanalyze.report.rows import Row


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
TRAINING_DTYPES = ("float32", "bfloat16", "float16", "float64")
"""The element types in which PyTorch trains."""


@dataclass(frozen=True, slots=True)
class UncountedTraining:
    """An operator of which a count of training is unknown.

    Attributes:
        operator: its kind.
        path: the module that called it.
        times: the number of calls.
        columns: the unknown counts, some of `TRAINING_COLUMNS`.
    """

    operator: str
    path: str
    times: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """The cost of a training step.

    Attributes:
        optimizer: the name of the optimizer, one of `OPTIMIZERS`.
        ops: the record of the forward pass in training mode.
        counts: the cost of each operator of the record.
        gradient_bytes: the bytes of the gradients of all parameters.
        optimizer_bytes: the bytes that the optimizer keeps from step to step.
        step: the step that ran; None if it needs the values of a tensor.
    """

    optimizer: str
    ops: tuple[Op, ...]
    counts: tuple[TrainingCounts, ...]
    gradient_bytes: int
    optimizer_bytes: int
    step: MeasuredStep | None

    @property
    def step_peak_bytes(self) -> Count:
        """The most bytes in memory at once during a step; None if no step ran."""
        return self.step.peak_bytes if self.step else None

    @cached_property
    def _by_op(self) -> dict[int, TrainingCounts]:
        return dict(zip(map(id, self.ops), self.counts, strict=True))

    def _each(self, rows: Iterable[Row] | None) -> Iterator[tuple[Op, TrainingCounts]]:
        """The recorded operators of rows, or all, each with its cost."""
        ops = self.ops if rows is None else [op for row in rows for op in row.recorded]
        return ((op, self._by_op[id(op)]) for op in ops)

    def of(self, rows: Iterable[Row] | None = None) -> TrainingCounts:
        """Return the cost of training some rows, by default all."""
        return TrainingCounts(*sums(counts for _, counts in self._each(rows)))

    def complete(self, column: str, rows: Iterable[Row] | None = None) -> bool:
        """Return True if a column is known of every operator of some rows, by default of all."""
        return all(getattr(counts, column) is not None for _, counts in self._each(rows))

    def uncounted(self, rows: Iterable[Row]) -> tuple[UncountedTraining, ...]:
        """Return every operator of some rows with an unknown count."""
        each = (
            (op, tuple(name for name, n in c._asdict().items() if n is None)) for op, c in self._each(rows)
        )
        times = Counter((op.kind, op.path, columns) for op, columns in each if columns)
        return tuple(UncountedTraining(kind, path, n, columns) for (kind, path, columns), n in times.items())

    def totals(self, rows: Iterable[Row] | None = None) -> dict[str, Count]:
        """Return each of `TRAINING_TOTALS`: sums over some rows, by default all, and those of the whole step."""
        return {
            **self.of(rows)._asdict(),
            "gradient_bytes": self.gradient_bytes,
            "optimizer_bytes": self.optimizer_bytes,
            "step_peak_bytes": self.step_peak_bytes,
        }

    def as_dict(self, rows: Iterable[Row]) -> dict[str, Any]:
        """Return the part of a report's document that is about training."""
        uncounted = [asdict(each) for each in self.uncounted(rows)]
        return {
            "optimizer": self.optimizer,
            "complete": not uncounted,
            "uncounted": [{**each, "columns": list(each["columns"])} for each in uncounted],
            "phase": self.step.phase if self.step else None,
            "peak": {f"{name}_bytes": size for name, size in self.step.peak.items()} if self.step else None,
            "step": dict(self.step.counts) if self.step else None,
        }

    def differences(self) -> Iterator[str]:
        """Yield one line for each total that the step and the rules count differently, and the usual reason."""
        if self.step:
            bounds = [name for name in TRAINING_COLUMNS if not self.complete(name)]
            yield from differences(self.step, self.totals(), bounds)


def training_of(
    ops: Sequence[Op], itemsize: int, frozen: Collection[int], optimizer: str, step: MeasuredStep | None
) -> Training:
    """Return the cost of a training step, by rules on the record.

    Args:
        ops: the record of a forward pass in training mode.
        itemsize: bytes of an element whose size is not fixed.
        frozen: the numbers of the weights that require no gradient.
        optimizer: as in `Training`.
        step: as in `Training`.
    """
    # imported here: a report without training needs none of the rules
    from mbanalyze.training_cost.backward_cost import backward
    from mbanalyze.training_cost.optimizer_state import gradient_bytes, state_bytes, trainable
    from mbanalyze.training_cost.saved_bytes import saved_bytes

    costs, saved = backward(ops, frozen), saved_bytes(ops, itemsize, frozen)
    counts = [TrainingCounts(*cost, kept) for cost, kept in zip(costs, saved, strict=True)]
    params = trainable(ops, frozen)
    state = state_bytes(optimizer, params, itemsize)
    return Training(optimizer, tuple(ops), tuple(counts), gradient_bytes(params, itemsize), state, step)
