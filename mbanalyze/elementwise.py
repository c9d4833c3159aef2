"""Operators that compute each output element alone, and the flops of one element.

A transcendental (exp, log, erf, tanh, a root, a trigonometric function) counts one, as a comparison does.
"""

from __future__ import annotations

_ONE = (
    *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide"),
    *("neg", "abs", "sign", "reciprocal", "square", "sqrt", "rsqrt", "floor", "ceil", "round", "trunc"),
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erf", "erfinv", "sin", "cos", "tan"),
    *("asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
    *("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "nan_to_num"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "shift"),
)

ELEMENTWISE = {
    **dict.fromkeys(_ONE, 1),
    "relu": 1,  # max(x, 0)
    "relu6": 1,  # min(max(x, 0), 6), one clamp
    "clamp": 1,
    "hard_shrink": 1,  # a comparison
    "threshold": 1,
    "leaky_relu": 2,  # compare, multiply
    "prelu": 2,
    "soft_shrink": 2,  # clamp, subtract
    "hard_sigmoid": 3,  # add, clamp, divide
    "hard_swish": 4,  # hard_sigmoid, multiply
    "sigmoid": 4,  # negate, exp, add, divide
    "log_sigmoid": 5,  # sigmoid, log
    "silu": 5,  # sigmoid, multiply
    "softplus": 3,  # exp, add, log
    "mish": 5,  # softplus, tanh, multiply
    "elu": 3,  # exp, subtract, compare
    "celu": 4,  # divide, elu
    "selu": 4,  # elu, multiply
    "gelu": 5,  # divide, erf, add, multiply, halve
    "gelu_tanh": 9,  # a cube (2), multiply, add, multiply, tanh, add, multiply, halve
    "scaled_add": 2,  # multiply, add
    "addcmul": 2,  # multiply, add
    "addcdiv": 2,  # divide, add
    "scaled_addcmul": 3,
    "scaled_addcdiv": 3,
    "rrelu": 3,  # in training: draw, compare, multiply
    "lerp": 3,  # subtract, multiply, add
    "dropout": 2,  # in training: mask, scale
}
"""Kind -> flops of one output element."""

BINARY = frozenset(
    {
        *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide", "atan2"),
        *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "shift", "scaled_add"),
    }
)
"""Those of two operands, the second of which may be a number."""
