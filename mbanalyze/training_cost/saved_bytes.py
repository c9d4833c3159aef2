"""The bytes that autograd keeps for the backward pass of each operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mbanalyze.ops.cost import Count
from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Key, Needs, key_of, needs
from mbanalyze.training_cost.saved_rules import SAVED
from mbanalyze.training_cost.storages import storage_sizes


def saved_bytes(ops: Sequence[Op], itemsize: int, frozen: Iterable[int] = ()) -> list[Count]:
    """Return for each operator of a record the bytes that it keeps until its backward pass; None is unknown.

    A storage that several operators keep counts once, at the first of them, in whole.
    Parameters and buffers do not count, because they are stored anyway; the network's inputs do.

    Args:
        ops: the record of a forward pass in training mode, in order.
        itemsize: bytes of an element.
        frozen: the numbers of the weights that require no gradient.
    """
    sizes, seen = storage_sizes(ops), set[Key]()

    def added(op: Op, need: Needs) -> Count:
        """The bytes of the storages that an operator is the first to keep."""
        if not any(need):
            return 0
        rule = SAVED.get(op.kind)
        kept = rule(op, need) if rule else None
        if kept is None:
            return None
        found = kept.elements * itemsize + kept.fixed_bytes
        for value in kept.values:
            key = key_of(value)
            if value.role == "activation" and key not in seen:
                seen.add(key)
                found += sizes[key] * (value.itemsize or itemsize)
        return found

    return [added(op, need) for op, need in zip(ops, needs(ops, frozen), strict=True)]
