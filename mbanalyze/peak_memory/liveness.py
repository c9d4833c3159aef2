"""The account `ideal`: the least memory that an execution in the recorded order needs.

A tensor lives from the operator that writes it to the last one that reads it. The outputs of the network live to the
end. A view keeps the whole tensor alive. An elementwise operator may write over an operand that no later one reads.
Sizes may be arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value
from mbanalyze.peak_memory.timeline import Lifetime, Step, Timeline

InPlace = Callable[[Op], bool]
"""A function that returns True for an operator that may write its output over its input."""

_AT_THE_SAME_PLACE = frozenset({*ELEMENTWISE, "batch_norm", "masked_fill", "where"} - {"cat_relu", "cross"})
"""The kinds that compute each output element from the elements at the same place.

A cross product reads neighbours, and a concatenation moves its operands.
"""


def ideal(ops: Sequence[Op], itemsize: int, outputs: Collection[int] | None = None) -> Timeline:
    """Return the activations in memory while each operator runs.

    Args:
        ops: the record.
        itemsize: bytes of an element whose size is not fixed.
        outputs: the numbers of the activations that the network returns; by default those that no operator reads.
    """
    return timeline_of(ops, itemsize, outputs, is_elementwise)


def is_elementwise(op: Op) -> bool:
    """Return True for an operator that can write each element over the one that it was computed from."""
    return op.kind in _AT_THE_SAME_PLACE


def timeline_of(
    ops: Sequence[Op], itemsize: int, outputs: Collection[int] | None, in_place: InPlace
) -> Timeline:
    """Return the activations in memory; arguments as for `ideal`, and the operators that may run in place."""
    memory = _Memory(ops, itemsize, outputs)
    memory.reuse(ops)
    for i, op in enumerate(ops):
        if in_place(op) and not op.overwrites:
            memory.overwrite(i, op)
    return Timeline(tuple([Step(op.path, op.kind) for op in ops]), tuple(memory.lifetimes()))


class _Memory:
    """The activations of a record, by their numbers: their sizes, their writers, and the steps that need them."""

    def __init__(self, ops: Sequence[Op], itemsize: int, outputs: Collection[int] | None) -> None:
        """Find the steps that need each activation; arguments as for `ideal`."""
        self._itemsize, self._end = itemsize, len(ops) - 1
        self._wholes: dict[int, Value] = {}
        self._writers: dict[int, Op] = {}
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        read: set[int] = set()
        for i, op in enumerate(ops):
            for value in op.operands:
                if value.role == "activation":
                    self._add(value, 0, i)
                    read.add(value.number)
            for value in op.output:
                if value.role == "activation":
                    self._writers[value.number] = op
                    self._add(value, i, i)
        returned = self._wholes.keys() - read if outputs is None else self._wholes.keys() & set(outputs)
        self._last.update(dict.fromkeys(returned, len(ops)))

    def _add(self, value: Value, first: int, step: int) -> None:
        """Add an activation that step `step` needs; it is in memory from `first` on if it is not known yet."""
        number = value.number
        self._last[number] = step
        known = self._wholes.get(number)
        if known is None:
            self._wholes[number], self._first[number] = value, first
        elif value is not known and any_true(self._bytes(value) > self._bytes(known)):
            self._wholes[number] = value  # only a part was written

    def _bytes(self, value: Value) -> int:
        return value.extent * (value.itemsize or self._itemsize)

    def reuse(self, ops: Sequence[Op]) -> None:
        """Let each output of an operator in place have the whole memory of the tensor that it overwrites."""
        chain = [
            (step, value.number, old)
            for step, op in enumerate(ops)
            for value, old in zip(op.output, op.overwrites, strict=False)
            if old in self._wholes
        ]
        for _, new, old in reversed(chain):
            self._wholes[old] = self._larger(old, new)
        for step, new, old in chain:
            self._wholes[new] = self._larger(new, old)
            self._last[old] = step - 1

    def _larger(self, number: int, other: int) -> Value:
        """The larger one of two tensors; the first if they are equal."""
        return max(self._wholes[number], self._wholes[other], key=self._bytes)

    def overwrite(self, step: int, op: Op) -> None:
        """Let an operator write over an input that dies with it and has room for the output."""
        output = op.output[0]
        if output.role != "activation":
            return
        written, inputs = self._bytes(self._wholes[output.number]), op.inputs
        is_conv = op.kind == "conv"
        for value in op.operands[:1] if is_conv else inputs:
            number = value.number
            if value.role != "activation" or self._last[number] != step or number == output.number:
                continue
            held, views = self._bytes(self._wholes[number]), [v for v in inputs if v.number == number]
            if is_conv:
                if len(views) == 1 and not any_true(held < written):
                    self._first[output.number] = step + 1
            elif not any_true(held != written) and all(view[2:5] == output[2:5] for view in views):
                self._last[number] = step - 1
                return

    def lifetimes(self) -> Iterator[Lifetime]:
        """The activations that are in memory during at least one step."""
        for number, whole in self._wholes.items():
            first, last = self._first[number], min(self._last[number], self._end)
            if first <= last:
                writer = self._writers.get(number)
                path, kind = (writer.path, writer.kind) if writer else ("", "input")
                yield Lifetime(path, kind, whole.shape, self._bytes(whole), first, last)
