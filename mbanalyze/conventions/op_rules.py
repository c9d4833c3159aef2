"""Rules of operators that several conventions share."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.convention import Rule
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost


def _macs(op: Op) -> int:
    return cost(op).macs or 0


def _biases(op: Op) -> int:
    return prod(op.output[0].shape) if len(op.operands) > 2 else 0


MACS: Rule[Op] = Rule("macs", _macs)
"""The multiply-accumulates as we count them."""
BIAS: Rule[Op] = Rule("1 for each output element with a bias", _biases, claims=False)
"""One for each output element of a convolution or linear layer that a bias is added to."""


def each_output(n: int) -> Rule[Op]:
    """Return the rule of `n` for each output element."""
    return Rule(f"{n} for each output element", lambda op: n * prod(op.output[0].shape))


def is_complex(op: Op) -> bool:
    """Return True if an operator reads complex numbers."""
    return any(value.is_complex for value in op.operands)


def complex_products(counted: int) -> Rule[Op]:
    """Return the rule of a product of complex numbers, of which we count four products of real ones."""

    def less(op: Op) -> int:
        """Return the amount below ours."""
        return _macs(op) // 4 * (counted - 4) if is_complex(op) else 0

    return Rule(f"{counted} for a product of complex numbers, not 4", less, claims=False)
