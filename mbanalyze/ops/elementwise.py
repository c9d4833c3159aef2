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
    *("neg", "abs", "sign", "reciprocal", "square", "floor", "ceil", "round", "trunc", "conjugate"),
    *("copysign", "nextafter", "heaviside", "frexp"),
)
_TRANSCENDENTAL = (
    *("sqrt", "rsqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erf", "erfinv"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "angle"),
)
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "isnan", "isinf", "isfinite", "signbit", "nan_to_num")
_LOGIC = (
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "shift"),
)

ELEMENTWISE = {
    **dict.fromkeys(_ARITHMETIC, Derivation(1, "one operation")),
    **dict.fromkeys(_TRANSCENDENTAL, Derivation(1, "one transcendental function")),
    **dict.fromkeys(_COMPARISONS, Derivation(1, "one comparison")),
    **dict.fromkeys(_LOGIC, Derivation(1, "one logical operation")),
    "special_function": Derivation(1, "one special function"),
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
    "add_relu": Derivation(2, "add, relu"),
    "mul_relu": Derivation(2, "mul, relu"),
    "batch_norm_relu": Derivation(3, "multiply, add, relu"),
    "cat_relu": Derivation(1, "relu"),
    "hypot": Derivation(4, "square, square, add, root"),
    "polar": Derivation(4, "cos, multiply, sin, multiply"),
    "log_add_exp": Derivation(4, "exp, exp, add, log"),
    "x_log_y": Derivation(2, "log, multiply"),
    "x_log1p_y": Derivation(3, "increment, log, multiply"),
    "scale_by_power": Derivation(2, "exp2, multiply"),
    "sinc": Derivation(3, "multiply, sin, divide"),
    "logit": Derivation(3, "subtract, divide, log"),
    "entropy": Derivation(3, "log, multiply, negate"),
    "cross": Derivation(3, "multiply, multiply, subtract"),
    "quantize": Derivation(4, "divide, round, add, clamp"),
    "quantize_dynamically": Derivation(6, "compare, compare, quantize"),
    "dequantize": Derivation(2, "subtract, multiply"),
    "fake_quantize": Derivation(6, "quantize, dequantize", "arXiv:1712.05877 eq. 12"),
    "cosine_window": Derivation(4, "multiply, cos, multiply, subtract"),
    "blackman_window": Derivation(8, "multiply, cos, multiply, subtract, multiply, cos, multiply, add"),
    "bartlett_window": Derivation(4, "multiply, subtract, abs, subtract"),
    "kaiser_window": Derivation(
        8, "multiply, subtract, square, subtract, root, multiply, special_function, divide"
    ),
    "power_sequence": Derivation(2, "step, power"),
    "lerp": Derivation(3, "subtract, multiply, add"),
    "dropout": Derivation(2, "mask, scale", "arXiv:1207.0580; in training, free at inference"),
}
"""Kind -> the flops of one output element, derived."""

BINARY = frozenset(
    {
        *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide", "atan2"),
        *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
        *("bitwise_and", "bitwise_or", "bitwise_xor", "shift", "scaled_add", "add_relu", "mul_relu"),
        *("copysign", "nextafter", "heaviside", "hypot", "polar", "log_add_exp", "x_log_y", "x_log1p_y"),
        *("scale_by_power", "cross"),
    }
)
"""The elementwise kinds with two operands; the second may be a number."""

ACTIVATIONS = frozenset(
    {
        *("relu", "relu6", "clamp", "leaky_relu", "prelu", "hard_sigmoid", "hard_swish", "sigmoid", "silu"),
        *("log_sigmoid", "softplus", "mish", "elu", "celu", "selu", "gelu", "gelu_tanh", "tanh"),
        *("hard_shrink", "soft_shrink", "threshold"),
    }
)
"""The elementwise kinds that are activation functions."""
