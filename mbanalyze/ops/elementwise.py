"""Operators that compute each output element alone, and the flops of one element.

A transcendental (exp, log, erf, tanh, a root, a trigonometric function) counts one, as a comparison does.
"""

from __future__ import annotations

from typing import NamedTuple


class Steps(NamedTuple):
    """How an element is computed.

    Attributes:
        flops: of one output element.
        steps: what they are, one each; the name of another kind stands for all of its steps.
        source: the paper that defines the operator; "" where PyTorch's documentation does.
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

STEPS = {
    **dict.fromkeys(_ARITHMETIC, Steps(1, "one operation")),
    **dict.fromkeys(_TRANSCENDENTAL, Steps(1, "a transcendental counts one")),
    **dict.fromkeys(_COMPARISONS, Steps(1, "one comparison")),
    **dict.fromkeys(_LOGIC, Steps(1, "one operation on bits")),
    "relu": Steps(1, "compare with 0"),
    "relu6": Steps(1, "clamp to 0 and 6"),
    "clamp": Steps(1, "one clamp"),
    "hard_shrink": Steps(1, "one comparison"),
    "threshold": Steps(1, "one comparison"),
    "leaky_relu": Steps(2, "compare, multiply"),
    "prelu": Steps(2, "compare, multiply", "arXiv:1502.01852 eq. 1"),
    "soft_shrink": Steps(2, "clamp, subtract"),
    "hard_sigmoid": Steps(3, "add, clamp, divide", "arXiv:1905.02244 section 5.2"),
    "hard_swish": Steps(4, "hard_sigmoid, multiply", "arXiv:1905.02244 section 5.2"),
    "sigmoid": Steps(4, "negate, exp, add, divide"),
    "log_sigmoid": Steps(5, "sigmoid, log"),
    "silu": Steps(5, "sigmoid, multiply", "arXiv:1702.03118"),
    "softplus": Steps(3, "exp, add, log"),
    "mish": Steps(5, "softplus, tanh, multiply", "arXiv:1908.08681"),
    "elu": Steps(3, "exp, subtract, compare", "arXiv:1511.07289"),
    "celu": Steps(4, "divide, elu", "arXiv:1704.07483"),
    "selu": Steps(4, "elu, multiply", "arXiv:1706.02515"),
    "gelu": Steps(5, "divide, erf, add, multiply, halve", "arXiv:1606.08415"),
    "gelu_tanh": Steps(
        9, "square, multiply, multiply, add, multiply, tanh, add, multiply, halve", "arXiv:1606.08415"
    ),
    "scaled_add": Steps(2, "multiply, add"),
    "addcmul": Steps(2, "multiply, add"),
    "addcdiv": Steps(2, "divide, add"),
    "scaled_addcmul": Steps(3, "multiply, scale, add"),
    "scaled_addcdiv": Steps(3, "divide, scale, add"),
    "rrelu": Steps(3, "draw, compare, multiply", "arXiv:1505.00853; in training"),
    "lerp": Steps(3, "subtract, multiply, add"),
    "dropout": Steps(2, "mask, scale", "arXiv:1207.0580; in training, and at inference it is free"),
}
"""Kind -> how an element of it is computed."""

ELEMENTWISE = {kind: each.flops for kind, each in STEPS.items()}
"""Kind -> flops of one output element."""

BINARY = frozenset(
    {
        *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide", "atan2"),
        *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "shift", "scaled_add"),
    }
)
"""Those of two operands, the second of which may be a number."""
