"""The operators that an inference engine runs as one: a product, its batch norm and its activation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from math import prod
from typing import NamedTuple

from mbanalyze.ops.elementwise import ACTIVATIONS
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value

_PRODUCTS = frozenset({"conv", "linear"})
"""The kinds that other operators are merged into."""

_PARTS = ACTIVATIONS | {"batch_norm"}
"""The kinds that are merged into a product."""


class FusedOp(NamedTuple):
    """An operator as an inference engine runs it.

    Attributes:
        op: the operator, with the output of the last one merged into it, in its own shape.
            A batch norm scales the weight in advance, and its shift becomes the bias.
            The weight of an activation is one more operand.
        parts: the recorded operators that it stands for, in order.
    """

    op: Op
    parts: tuple[Op, ...]


def fused(ops: Sequence[Op], outputs: Collection[int] | None = None) -> list[FusedOp]:
    """Return the record with batch norms and activations merged into the convolution or linear layer before them.

    An operator is merged if it alone reads the whole output of the product. A batch norm stays if it follows an
    activation, if it normalises a dimension other than the channels, or if the weight is computed.

    Args:
        ops: the record.
        outputs: the numbers of the activations that the network returns, which have to be written.
    """
    readers = Counter([value.number for op in ops for value in op.operands if value.role == "activation"])
    readers.update(outputs or ())
    merged: list[FusedOp] = []
    writers: dict[int, int] = {}
    for op in ops:
        read = op.operands[0] if op.kind in _PARTS else None
        at = (
            writers.get(read.number)
            if read and read.role == "activation" and readers[read.number] == 1
            else None
        )
        if at is not None and _fits(merged[at], op):
            merged[at] = _merge(merged[at], op)
        else:
            at = len(merged)
            merged.append(FusedOp(op, (op,)))
        for value in op.output:
            if value.role == "activation":
                writers[value.number] = at
    return merged


def _fits(product: FusedOp, op: Op) -> bool:
    """True if an inference engine runs an operator as a part of the product before it."""
    first, last = product.parts[0], product.parts[-1]
    if first.kind not in _PRODUCTS or first.attribute("activation"):
        return False
    if op.kind in ACTIVATIONS:
        follows = last.kind not in ACTIVATIONS
    else:
        follows = op.kind == "batch_norm" and last is first and _scales_channels(op, first)
    return follows and _reads_all(op, last.output[0]) and not op.output[0].is_complex


def _scales_channels(batch_norm: Op, product: Op) -> bool:
    """True if a batch norm has a number for each channel of a product, whose weight is known in advance."""
    if len(product.operands) < 2 or product.operands[1].role == "activation":
        return False
    rank = len(product.operands[1].shape)
    shape = batch_norm.operands[0].shape
    return len(shape) == rank and shape[1:] == product.output[0].shape[1 - rank :]


def _reads_all(op: Op, output: Value) -> bool:
    """True if a tensor is the only activation that an operator reads, in its own shape or in another one."""
    if op.inputs == (output,):
        return True
    whole = all(value.strides is None and value.offset == 0 for value in (*op.inputs, output, *op.output))
    return whole and len(op.inputs) == 1 and not any_true(prod(op.inputs[0].shape) != prod(output.shape))


def _merge(product: FusedOp, op: Op) -> FusedOp:
    """The product with one more part, whose weights it reads too."""
    whole, parts = product.op, (*product.parts, op)
    if op.kind != "batch_norm":
        added = tuple([value for value in op.operands if value.role != "activation"])
    else:
        added = (_shift(op),) if len(whole.operands) == 2 else ()
    output = op.output[0]._replace(shape=whole.output[0].shape)
    return FusedOp(whole._replace(operands=whole.operands + added, output=(output,)), parts)


def _shift(batch_norm: Op) -> Value:
    """The number of each channel that a batch norm adds."""
    return batch_norm.weights[-1] if batch_norm.weights else batch_norm.buffers[0]
