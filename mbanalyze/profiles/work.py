"""The work of an operator, from which its time is predicted."""

from __future__ import annotations

from typing import NamedTuple

from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost, distinct


class Work(NamedTuple):
    """The work of an operator.

    Attributes:
        flops: floating-point operations; 0 if they are unknown.
        activation_bytes: bytes of activations read and written.
        weight_bytes: bytes of weights and buffers read.
    """

    flops: int
    activation_bytes: int
    weight_bytes: int


def work_of(op: Op, itemsize: int) -> Work:
    """Return the work of an operator when an element takes `itemsize` bytes."""
    counts = cost(op)
    moved = counts.memory_access_bytes(itemsize)
    values = (*distinct(op.inputs), *op.output)
    activations = sum([value.size * (value.itemsize or itemsize) for value in values])
    activations = min(activations, moved)  # an operator such as `gather` reads a part of an activation
    return Work(counts.flops or 0, activations, moved - activations)
