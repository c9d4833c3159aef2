"""Elementwise kinds, and the flops of one output element.

A transcendental function (exp, log, erf, tanh, a root, a trigonometric function) counts one flop, as does a comparison.
"""

from __future__ import annotations

from typing import NamedTuple


class Derivation(NamedTuple):
    """The flops of one output element and the steps that they count.

    Attributes:
        flops: operations per output element.
        steps: names of the operations, one flop each; the name of another kind stands for all of its steps.
        source: the paper that defines the operator; "" if PyTorch's documentation does.
    """

    flops: int
    steps: str
    source: str = ""


_ARITHMETIC = (
    *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide"),
    *("neg", "abs", "sign", "reciprocal", "square", "floor", "ceil", "round", "trunc"),
)
_TRANSCENDENTAL = (
    *("sqrt", "rsqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erf", "erfinv"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
)
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "nan_to_num")
_LOGIC = (
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "shift"),
)

ELEMENTWISE = {
    **dict.fromkeys(_ARITHMETIC, Derivation(1, "one operation")),
    **dict.fromkeys(_TRANSCENDENTAL, Derivation(1, "one transcendental function")),
    **dict.fromkeys(_COMPARISONS, Derivation(1, "one comparison")),
    **dict.fromkeys(_LOGIC, Derivation(1, "one logical operation")),
    "relu": Derivation(1, "compare with 0"),
    "relu6": Derivation(1, "clamp to 0 and 6"),
    "clamp": Derivation(1, "one clamp"),
    "hard_shrink": Derivation(1, "one comparison"),
    "threshold": Derivation(1, "one comparison"),
    "leaky_relu": Derivation(2, "compare, multiply"),
    "prelu": Derivation(2, "compare, multiply", "arXiv:1502.01852 eq. 1"),
    "soft_shrink": Derivation(2, "clamp, subtract"),
    "hard_sigmoid": Derivation(3, "add, clamp, divide", "arXiv:1905.02244 section 5.2"),
    "hard_swish": Derivation(4, "hard_sigmoid, multiply", "arXiv:1905.02244 section 5.2"),
    "sigmoid": Derivation(4, "negate, exp, add, divide"),
    "log_sigmoid": Derivation(5, "sigmoid, log"),
    "silu": Derivation(5, "sigmoid, multiply", "arXiv:1702.03118"),
    "softplus": Derivation(3, "exp, add, log"),
    "mish": Derivation(5, "softplus, tanh, multiply", "arXiv:1908.08681"),
    "elu": Derivation(3, "exp, subtract, compare", "arXiv:1511.07289"),
    "celu": Derivation(4, "divide, elu", "arXiv:1704.07483"),
    "selu": Derivation(4, "elu, multiply", "arXiv:1706.02515"),
    "gelu": Derivation(5, "divide, erf, add, multiply, halve", "arXiv:1606.08415"),
    "gelu_tanh": Derivation(
        9, "square, multiply, multiply, add, multiply, tanh, add, multiply, halve", "arXiv:1606.08415"
    ),
    "scaled_add": Derivation(2, "multiply, add"),
    "addcmul": Derivation(2, "multiply, add"),
    "addcdiv": Derivation(2, "divide, add"),
    "scaled_addcmul": Derivation(3, "multiply, scale, add"),
    "scaled_addcdiv": Derivation(3, "divide, scale, add"),
    "rrelu": Derivation(3, "draw, compare, multiply", "arXiv:1505.00853; in training"),
    "lerp": Derivation(3, "subtract, multiply, add"),
    "dropout": Derivation(2, "mask, scale", "arXiv:1207.0580; in training, free at inference"),
}
"""Kind -> the flops of one output element, derived."""

BINARY = frozenset(
    {
        *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide", "atan2"),
        *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "shift", "scaled_add"),
    }
)
"""The elementwise kinds with two operands; the second may be a number."""
