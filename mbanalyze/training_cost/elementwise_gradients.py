"""The backward pass of elementwise kinds: flops per output element for the gradient of each operand.

The formulas are those of PyTorch's `tools/autograd/derivatives.yaml`, with its saved results.
A gradient that PyTorch passes on as it arrives takes none.
A gradient of an operand that was broadcast is then summed: one addition per element.
"""

from __future__ import annotations

from typing import NamedTuple

from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Gradients, Needs, Rule


class Derivative(NamedTuple):
    """The flops of the gradients of one output element, and their steps.

    Attributes:
        flops: the flops of the gradient of each operand, in order.
        steps: names of the operations, one flop each; operands are separated by semicolons.
    """

    flops: tuple[int, ...]
    steps: str


def _one(flops: int, steps: str) -> Derivative:
    return Derivative((flops,), steps)


_PASSED_ON = Derivative((0, 0), "passed on; passed on")
_POLYNOMIAL = "square, add, root, multiply"

DERIVATIVES = {
    "add": _PASSED_ON,
    "sub": Derivative((0, 1), "passed on; negate"),
    "mul": Derivative((1, 1), "multiply; multiply"),
    "div": Derivative((1, 4), "divide; negate, divide, divide, multiply"),
    "pow": Derivative((3, 3), "power, multiply, multiply; log, multiply, multiply"),
    **dict.fromkeys(
        ("maximum", "minimum"), Derivative((3, 3), "compare, halve, compare; compare, halve, compare")
    ),
    "remainder": Derivative((0, 3), "passed on; divide, negate, multiply"),
    "scaled_add": Derivative((0, 1), "passed on; multiply"),
    "addcmul": Derivative((0, 1, 1), "passed on; multiply; multiply"),
    "addcdiv": Derivative((0, 1, 4), "passed on; divide; multiply, divide, negate, multiply"),
    "scaled_addcmul": Derivative((0, 2, 2), "passed on; multiply, scale; multiply, scale"),
    "scaled_addcdiv": Derivative(
        (0, 2, 5), "passed on; divide, scale; multiply, divide, negate, multiply, scale"
    ),
    "lerp": Derivative((1, 1, 2), "multiply; multiply; subtract, multiply"),
    "hypot": Derivative((2, 2), "divide, multiply; divide, multiply"),
    "atan2": Derivative(
        (6, 7),
        "square, square, add, invert, multiply, multiply; square, square, add, invert, negate, multiply, multiply",
    ),
    "log_add_exp": Derivative((4, 4), "subtract, exp, increment, divide; subtract, exp, increment, divide"),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), _one(0, "zeros")),
    "neg": _one(1, "negate"),
    "abs": _one(2, "sign, multiply"),
    "reciprocal": _one(3, "square, negate, multiply"),
    "square": _one(3, "power, multiply, multiply"),
    "sqrt": _one(2, "double, divide"),
    "rsqrt": _one(3, "power, multiply, multiply"),
    "exp": _one(1, "multiply"),
    **dict.fromkeys(("exp2", "log2", "log10"), _one(2, "scale, multiply or divide")),
    "expm1": _one(2, "increment, multiply"),
    "log": _one(1, "divide"),
    "log1p": _one(2, "increment, divide"),
    "erf": _one(5, "square, negate, exp, scale, multiply"),
    "erfinv": _one(4, "square, exp, scale, multiply"),
    **dict.fromkeys(("sin", "sinh", "cosh"), _one(2, "one function, multiply")),
    "cos": _one(3, "sin, negate, multiply"),
    "tan": _one(3, "square, increment, multiply"),
    "asin": _one(5, "square, negate, increment, root, multiply"),
    "acos": _one(6, "square, negate, increment, root, negate, multiply"),
    "atan": _one(3, "square, increment, divide"),
    **dict.fromkeys(("asinh", "acosh"), _one(4, _POLYNOMIAL)),
    "atanh": _one(3, "square, subtract, divide"),
    "nan_to_num": _one(1, "compare"),
    "relu": _one(1, "compare"),
    "relu6": _one(2, "compare, compare"),
    "clamp": _one(2, "compare, compare"),
    "hard_shrink": _one(1, "compare"),
    "soft_shrink": _one(1, "compare"),
    "threshold": _one(1, "compare"),
    "leaky_relu": _one(2, "compare, multiply"),
    "prelu": Derivative((2, 2), "compare, multiply; compare, multiply"),
    "hard_sigmoid": _one(3, "compare, compare, multiply"),
    "hard_swish": _one(5, "compare, compare, divide, add, multiply"),
    "sigmoid": _one(3, "subtract, multiply, multiply"),
    "tanh": _one(3, "square, subtract, multiply"),
    "log_sigmoid": _one(6, "compare, increment, divide, multiply, subtract, multiply"),
    "silu": _one(9, "sigmoid (4), subtract, multiply, increment, multiply, multiply"),
    "softplus": _one(4, "exp, increment, divide, multiply"),
    "mish": _one(14, "softplus (3), tanh, sigmoid (4), square, subtract, multiply, multiply, add, multiply"),
    "elu": _one(4, "compare, exp, multiply, multiply"),
    "celu": _one(5, "compare, divide, exp, multiply, multiply"),
    "selu": _one(5, "compare, exp, multiply, multiply, scale"),
    "gelu": _one(11, "divide, erf, increment, halve, square, scale, exp, scale, multiply, add, multiply"),
    "gelu_tanh": _one(
        18,
        "tanh of the cubic (6), halve, increment, halve; square, subtract; scale, increment, scale; "
        "multiply, multiply; add, multiply",
    ),
    "where": Derivative((0, 0, 0), "none; select; select"),
    "masked_fill": Derivative((0, 0, 0), "select; none; passed on"),
    "dropout": _one(1, "multiply by the scaled mask"),
    "fake_quantize": _one(1, "multiply by the mask"),
}
"""Kind -> the flops of the gradients of one output element, derived. Other elementwise kinds are unknown."""


def elementwise(derivative: Derivative) -> Rule:
    """Return the rule of an elementwise kind, whose docstring lists the steps."""

    def rule(op: Op, needs: Needs) -> Gradients | None:
        out, flops = op.output[0], 0
        for i, (value, need) in enumerate(zip(op.operands, needs, strict=True)):
            if need and i >= len(derivative.flops):
                return None
            if need:
                flops += derivative.flops[i] * out.size + (out.size - value.size)
        return 0, flops

    rule.__doc__ = f"{', '.join(map(str, derivative.flops))} per element: {derivative.steps}."
    return rule
