"""Operators whose results nothing uses: the graph of `torch.jit` does not have them."""

from __future__ import annotations

from mbanalyze.conventions.convention import Record
from mbanalyze.ops.record import Op, Value


def unused(record: Record) -> dict[int, str]:
    """Return the indices of the operators whose results neither reach the outputs nor change an input or a buffer.

    The words beside each index name the reason, for `left_out`. A closed form has no such operators.
    """
    if record.outputs is None:
        return {}
    live = {("activation", number) for number in record.outputs}
    found = {}
    given = _given(record.ops)
    for i in reversed(range(len(record.ops))):
        op = record.ops[i]
        overwritten = {("activation", number) for number in op.overwrites if number is not None}
        if given & overwritten or any(_tensor(v) in live or v.role != "activation" for v in op.output):
            live.update(map(_tensor, op.operands), overwritten)
        else:
            found[i] = f"{op.kind}: not counted where nothing uses the result"
    return found


def _given(ops: tuple[Op, ...]) -> set[tuple[str, int]]:
    """The activations that no operator made, which are the inputs, and these after operators in place."""
    made: set[tuple[str, int]] = set()
    given: set[tuple[str, int]] = set()
    for op in ops:
        for value, number in zip(op.output, op.overwrites or (None,) * len(op.output), strict=True):
            old = ("activation", number)
            if number is not None and (old in given or old not in made):
                given.update([("activation", number), _tensor(value)])
            made.add(_tensor(value))
    return given


def _tensor(value: Value) -> tuple[str, int]:
    """The role and number of a value, which identify its tensor."""
    return value.role, value.number
