"""The registry of formulas, and the cost of an operator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from operator import itemgetter

from mbanalyze.inputs.typed import is_shape
from mbanalyze.ops.cost import PRODUCTS, Cost
from mbanalyze.ops.derivations import Formula
from mbanalyze.ops.formulas import COMPLEX_FORMULAS, FORMULAS, GATHERS
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value

REGISTRY: dict[str, Formula] = {**FORMULAS}
"""Kind of operator -> its formula: the built-in ones, then those that `formula` registers."""


class FormulaError(ValueError):
    """A second formula for a kind, or a formula that fails or returns anything but two counts."""


def formula(kind: str) -> Callable[[Formula], Formula]:
    """Return a decorator that registers a function `op -> (macs, flops)` as the formula of `kind`.

    For example `formula("mylib::swish_add")(lambda op: (0, 6 * op.output[0].size))`.

    Args:
        kind: the operator's name in `Report.uncounted`: `aten::name`, or `library::name` for a custom operator.

    Raises:
        FormulaError: the kind already has a formula.
    """

    def register(function: Formula) -> Formula:
        if kind in REGISTRY:
            raise FormulaError(f"{kind} already has a formula: {REGISTRY[kind].__name__}")
        REGISTRY[kind] = _guarded(kind, function)
        return function

    return register


def _guarded(kind: str, function: Formula) -> Formula:
    """The registered function, with errors that name its kind."""

    @functools.wraps(function)
    def guarded(op: Op) -> tuple[int, int]:
        try:
            macs, flops = function(op)
        except Exception as error:
            raise FormulaError(f"the formula for {kind} raised {type(error).__name__}: {error}") from error
        if not is_shape((macs, flops)):
            raise FormulaError(f"the formula for {kind} must return two integers, not {macs!r} and {flops!r}")
        return macs, flops

    return guarded


_TENSOR = itemgetter(0, 1)
"""The role and number of a value, which identify a tensor."""


def distinct(operands: tuple[Value, ...]) -> Sequence[Value]:
    """The operands without those that hold the same elements as an earlier one; sizes may be arrays."""
    if len(operands) < 2 or len(set(map(_TENSOR, operands))) == len(operands):
        return operands
    return [
        value for i, value in enumerate(operands) if not any(_same_elements(value, v) for v in operands[:i])
    ]


def _same_elements(a: Value, b: Value) -> bool:
    if a is b or (a.role, a.number, len(a.shape)) != (b.role, b.number, len(b.shape)):
        return a is b
    differs = [m != n for m, n in zip((*a.shape, a.offset), (*b.shape, b.offset), strict=True)]
    return not any(map(any_true, differs)) and a.strides == b.strides


_SELECTED: dict[str, Callable[[Op], int]] = {
    **dict.fromkeys(GATHERS, lambda op: op.output[0].size),
    "embedding_bag": lambda op: prod(op.operands[1].shape) * op.output[0].shape[-1],
    "embedding_renorm": lambda op: prod(op.operands[1].shape) * op.operands[0].shape[-1],
    "nll_loss": lambda op: op.operands[1].size,
}
"""Kind of operator -> how many elements of its first operand it selects; it reads each of them once."""


def _formula_of(op: Op) -> Formula | None:
    """The formula of `op`, that of complex numbers if it reads or writes some."""
    if op.kind in FORMULAS and any(value.is_complex for value in op.operands + op.output):
        return COMPLEX_FORMULAS.get(op.kind)
    return REGISTRY.get(op.kind)


def _fixed_params(op: Op) -> tuple[int, int]:
    """The learned scalars of a fixed item size that `op` is the first to read, and their bytes.

    If it reads weights of both sorts, those of a fixed item size count first.
    """
    weights = distinct(op.weights)
    fixed = [weight for weight in weights if weight.itemsize]
    if not fixed:
        return 0, 0
    left, params, bytes_ = op.params, 0, 0
    for weight in fixed:
        size = left if len(weights) == 1 else min(left, weight.size)
        left, params, bytes_ = left - size, params + size, bytes_ + size * (weight.itemsize or 0)
    return params, bytes_


def cost(op: Op) -> Cost:
    """Return the cost of `op`; macs, flops and activations are None if its kind has no formula."""
    reads = writes = fixed = fixed_bytes = 0
    has_fixed = False
    selected = _SELECTED.get(op.kind)
    for value in distinct(op.operands):
        size = value.size
        if selected:
            size, selected = min(size, selected(op)), None
        reads += size
        if value.itemsize:
            fixed, fixed_bytes, has_fixed = fixed + size, fixed_bytes + size * value.itemsize, True
    for value in op.output:
        size = value.size
        writes += size
        if value.itemsize:
            fixed, fixed_bytes, has_fixed = fixed + size, fixed_bytes + size * value.itemsize, True
    function = _formula_of(op) if has_fixed else REGISTRY.get(op.kind)
    macs, flops = function(op) if function else (None, None)
    products = op.kind in PRODUCTS or any_true(macs)
    activations = writes if products else 0 if function else None
    params = _fixed_params(op) if has_fixed and any_true(op.params) else (0, 0)
    return Cost(op.params, macs, flops, activations, reads, writes, fixed, fixed_bytes, *params)
