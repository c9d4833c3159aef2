"""The cost of an operator, and formulas of your own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod

from mbanalyze.inputs.typed import is_shape
from mbanalyze.ops.cost import PRODUCTS, Cost
from mbanalyze.ops.formulas import ARITHMETIC, GATHERS, Formula
from mbanalyze.ops.numbers import anywhere
from mbanalyze.ops.record import Op, Value


class FormulaError(ValueError):
    """A formula for a kind that has one, or one that gives no counts."""


def formula(kind: str) -> Callable[[Formula], Formula]:
    """Register what operators of `kind` cost: a decorator of a function `op -> (macs, flops)`.

    Args:
        kind: what `Report.uncounted` calls the operator: `aten::name`, or `library::name` for a custom one.

    Raises:
        FormulaError: operators of this kind are counted already.

    As in `formula("mylib::swish_add")(lambda op: (0, 6 * op.output[0].size))`.
    """

    def register(counted: Formula) -> Formula:
        if kind in ARITHMETIC:
            raise FormulaError(f"{kind} is counted already, by {ARITHMETIC[kind].__name__}")
        ARITHMETIC[kind] = _checked(kind, counted)
        return counted

    return register


def _checked(kind: str, counted: Formula) -> Formula:
    """A formula of someone else's, whose mistakes say whose they are."""

    @functools.wraps(counted)
    def formula(op: Op) -> tuple[int, int]:
        try:
            macs, flops = counted(op)
        except Exception as error:
            raise FormulaError(f"the formula for {kind} raised {type(error).__name__}: {error}") from error
        if not is_shape((macs, flops)):
            raise FormulaError(f"the formula for {kind} gave {macs!r} and {flops!r}, not two whole numbers")
        return macs, flops

    return formula


def _distinct(operands: tuple[Value, ...]) -> Sequence[Value]:
    """`operands` without those that are the same elements as an earlier one; sizes may be arrays."""
    if len(operands) < 2 or len({value[:2] for value in operands}) == len(operands):
        return operands
    return [value for i, value in enumerate(operands) if not any(_same(value, v) for v in operands[:i])]


def _same(a: Value, b: Value) -> bool:
    if a is b or (a.role, a.number, len(a.shape)) != (b.role, b.number, len(b.shape)):
        return a is b
    differs = [m != n for m, n in zip((*a.shape, a.offset), (*b.shape, b.offset), strict=True)]
    return not any(map(anywhere, differs)) and a.strides == b.strides


def _selected(op: Op, table: Value) -> int:
    """Elements that an operator reads of its first operand."""
    if op.kind in GATHERS:
        return min(table.size, op.output[0].size)
    if op.kind == "embedding_bag":
        return min(table.size, prod(op.operands[1].shape) * op.output[0].shape[-1])
    return table.size


def cost(op: Op) -> Cost:
    """What `op` costs; macs, flops and activations are None when its kind has no formula."""
    formula = ARITHMETIC.get(op.kind)
    macs, flops = formula(op) if formula else (None, None)
    reads = writes = fixed = fixed_bytes = 0
    for i, value in enumerate(_distinct(op.operands)):
        size = value.size if i else _selected(op, value)
        reads += size
        if value.itemsize:
            fixed += size
            fixed_bytes += size * value.itemsize
    for value in op.output:
        size = value.size
        writes += size
        if value.itemsize:
            fixed += size
            fixed_bytes += size * value.itemsize
    products = op.kind in PRODUCTS or anywhere(macs)
    activations = writes if products else 0 if formula else None
    return Cost(op.params, macs, flops, activations, reads, writes, fixed, fixed_bytes)
