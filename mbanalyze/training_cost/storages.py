"""The elements of the storage that each tensor of a record views."""

from __future__ import annotations

from collections.abc import Iterable

from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Key, key_of


def storage_sizes(ops: Iterable[Op]) -> dict[Key, int]:
    """Return the elements of each tensor's storage: as many as its operator wrote, or as the record shows of others."""
    sizes: dict[Key, int] = {}
    written: set[Key] = set()
    for op in ops:
        for value in op.operands:
            key = key_of(value)
            if key not in written:
                sizes[key] = max(sizes.get(key, 0), value.extent)
        for value in op.output:
            key = key_of(value)
            sizes[key] = max(sizes.get(key, 0), value.extent)
            if value.strides is None and isinstance(value.offset, int) and not value.offset:
                written.add(key)
    return sizes
