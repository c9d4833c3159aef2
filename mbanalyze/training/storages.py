"""The elements of the storage that each tensor of a record views."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from mbanalyze.ops.record import Op, Value
from mbanalyze.training.gradients import Key, key_of


def storage_sizes(ops: Iterable[Op]) -> dict[Key, int]:
    """Return the elements of each tensor's storage: as many as its operator wrote, or as the record shows of others."""
    sizes: dict[Key, int] = {}
    written: set[Key] = set()
    for op in ops:
        for value in op.operands:
            key = key_of(value)
            if key not in written:
                sizes[key] = _larger(sizes.get(key), value)
        for value in op.output:
            key = key_of(value)
            sizes[key] = _larger(sizes.get(key), value)
            if value.strides is None and isinstance(value.offset, int) and not value.offset:
                written.add(key)
    return sizes


def _larger(known: int | None, value: Value) -> int:
    """The larger of a known size and the elements up to the end of a view."""
    extent = _extent(value)
    return extent if known is None or known < extent else known


def _extent(value: Value) -> int:
    """The elements from the start of the storage to the last one of a view."""
    if value.strides is None:
        return value.offset + prod(value.shape)
    if not all(value.shape):
        return 0
    return value.offset + 1 + sum((n - 1) * s for n, s in zip(value.shape, value.strides, strict=True))
