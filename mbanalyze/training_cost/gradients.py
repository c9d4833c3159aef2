"""The values that require a gradient: those computed from a parameter that requires one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mbanalyze.ops.record import Op, Role, Value

Key = tuple[Role, int]
"""The role and number of a value, which identify a tensor."""

CONSTANT = frozenset(
    {
        *("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "signbit", "equal", "all_close"),
        *(
            "logical_and",
            "logical_or",
            "logical_xor",
            "logical_not",
            "heaviside",
            "nextafter",
            "floor_divide",
        ),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "shift", "random", "sequence"),
        *("power_sequence", "cosine_window", "blackman_window", "bartlett_window", "kaiser_window"),
        *("nonzero", "is_in", "search", "count", "fixed_histogram", "histogram", "multinomial"),
        *("non_maximum_suppression", "quantize", "quantize_dynamically", "dequantize", "embedding_renorm"),
    }
)
"""The kinds without a derivative; their outputs are constants for the backward pass."""

Needs = tuple[bool, ...]
"""For each operand of an operator, True if the backward pass computes its gradient."""

Gradients = tuple[int, int | None]
"""The multiply-accumulates and flops of the backward pass of an operator; None is unknown."""

Rule = Callable[[Op, Needs], Gradients | None]
"""A function from an operator and its needed gradients to their cost, or None if it is unknown."""


def key_of(value: Value) -> Key:
    """Return the role and number of a value."""
    return value.role, value.number


def is_float(value: Value) -> bool:
    """Return True if the elements are real or complex floating-point numbers, which alone can have a gradient."""
    return value.itemsize is None or value.is_complex


def needs(ops: Sequence[Op], frozen: Iterable[int] = ()) -> list[Needs]:
    """Return for each operator of a record the operands whose gradient the backward pass computes.

    A weight requires a gradient unless it is frozen.
    A computed value requires one if its operator has a derivative and reads a value that requires one.
    Inputs and buffers require none.
    The record does not show `detach` and `no_grad`.

    Args:
        ops: the record, in order.
        frozen: the numbers of the weights that require no gradient.
    """
    fixed, computed = frozenset(frozen), set[Key]()

    def requires(value: Value) -> bool:
        if not is_float(value):
            return False
        return value.number not in fixed if value.role == "weight" else key_of(value) in computed

    found = []
    for op in ops:
        outputs = () if op.kind in CONSTANT else tuple(filter(is_float, op.output))
        operands = tuple(bool(outputs) and requires(value) for value in op.operands)
        if any(operands):
            computed.update(map(key_of, outputs))
        found.append(operands)
    return found
