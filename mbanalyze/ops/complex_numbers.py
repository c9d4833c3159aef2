"""The formulas of operators on complex numbers, in operations on real numbers.

A complex addition takes 2 flops and a multiplication 6: four products and two sums.
A multiply-accumulate of complex numbers is four of real numbers, and so takes 8 flops.
A factorisation takes four times the flops of one of real numbers.
PyTorch converts real operands to complex numbers first, so they cost the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mbanalyze.ops.derivations import Formula, number
from mbanalyze.ops.einsum import einsum_steps
from mbanalyze.ops.factorisation_formulas import FACTORISATIONS
from mbanalyze.ops.record import Op

ADD, MULTIPLY, MULTIPLY_ACCUMULATE = 2, 6, 4
"""Flops of an addition and of a multiplication, and the real multiply-accumulates of a complex one."""

COMPLEX_ELEMENTWISE = {
    **dict.fromkeys(("add", "sub", "neg"), ADD),
    **dict.fromkeys(("mul", "square"), MULTIPLY),
    "div": 11,  # multiply by the conjugate (6), the divisor's squared magnitude (3), two divisions
    "reciprocal": 6,  # squared magnitude (3), two divisions, negate the imaginary part
    "abs": 4,  # two squares, add, root
    "angle": 1,  # atan2
    "conjugate": 1,  # negate the imaginary part
    "sign": 6,  # abs, two divisions
    "polar": 4,  # sin, cos, two multiplications
    "exp": 5,  # exp, sin, cos, two multiplications
    "log": 6,  # log of abs, angle
    "pow": 17,  # log, multiply, exp
    "sqrt": 11,  # abs, add, subtract, two halves, two roots, one sign
    **dict.fromkeys(("sin", "cos", "sinh", "cosh"), 6),  # four real functions, two multiplications
    **dict.fromkeys(("tan", "tanh"), 6 + 6 + 11),  # a quotient of two of these
    **dict.fromkeys(("log2", "log10", "log1p"), 6 + ADD),  # log, and a real factor or an addition
    **dict.fromkeys(("exp2", "expm1"), 5 + ADD),
    "rsqrt": 11 + 6,  # sqrt, reciprocal
    "sigmoid": ADD + 5 + ADD + 11,
    "silu": ADD + 5 + ADD + 11 + MULTIPLY,
    **dict.fromkeys(("eq", "ne", "isnan", "isinf", "isfinite"), 3),  # both parts, and one logical operation
    **dict.fromkeys(("scaled_add", "addcmul"), MULTIPLY + ADD),
    "addcdiv": 11 + ADD,
    "scaled_addcmul": MULTIPLY + MULTIPLY + ADD,
    "scaled_addcdiv": 11 + MULTIPLY + ADD,
    "lerp": ADD + MULTIPLY + ADD,
    "dropout": 4,  # mask and scale both parts
    "random": 2,  # draw both parts
}
"""Elementwise kind -> the flops of one complex output element."""


def _elementwise(flops: int) -> Formula:
    return lambda op: (0, flops * op.output[0].size)


def _per_input(flops: int) -> Formula:
    return lambda op: (0, flops * prod(op.operands[0].shape))


def _product(formula: Formula) -> Formula:
    """The formula of a product whose other operations are additions, on complex numbers."""

    def product(op: Op) -> tuple[int, int]:
        macs, flops = formula(op)
        return MULTIPLY_ACCUMULATE * macs, 2 * MULTIPLY_ACCUMULATE * macs + ADD * (flops - 2 * macs)

    return product


def _matmul(formula: Formula) -> Formula:
    """The formula of a matrix product, some of whose other operations scale it."""

    def product(op: Op) -> tuple[int, int]:
        macs, flops = _product(formula)(op)
        return macs, flops + (MULTIPLY - ADD) * number(op, "scales") * op.output[0].size

    return product


def _einsum(op: Op) -> tuple[int, int]:
    steps = einsum_steps(op)
    macs = MULTIPLY_ACCUMULATE * steps.macs
    return macs, 2 * macs + MULTIPLY * steps.multiplications + ADD * steps.additions


def _reduce(op: Op) -> tuple[int, int]:
    steps = max(prod(op.operands[0].shape) - op.output[0].size, 0)
    return 0, steps * (MULTIPLY if op.attribute("product") else ADD)


def _cumulate(op: Op) -> tuple[int, int]:
    return 0, prod(op.operands[0].shape) * (MULTIPLY if op.attribute("product") else ADD)


def _factorisation(formula: Formula) -> Formula:
    """The formula of a factorisation, most of whose operations are multiply-accumulates."""

    def factorisation(op: Op) -> tuple[int, int]:
        times = (
            MULTIPLY_ACCUMULATE if op.operands[0].is_complex else 1
        )  # real matrices have complex eigenvalues
        return 0, times * formula(op)[1]

    return factorisation


def complex_formulas(real: Mapping[str, Formula], unchanged: tuple[str, ...]) -> dict[str, Formula]:
    """Return the formulas of complex numbers by kind; a kind without one is unknown.

    Args:
        real: the formulas of real numbers by kind.
        unchanged: the kinds that move elements, or whose formula gives the flops of complex numbers.
    """
    return {
        **{kind: real[kind] for kind in unchanged},
        **{kind: _elementwise(flops) for kind, flops in COMPLEX_ELEMENTWISE.items()},
        **{kind: _product(real[kind]) for kind in ("conv", "linear", "bilinear")},
        **{kind: _matmul(real[kind]) for kind in ("matmul", "sparse_matmul")},
        **{kind: _factorisation(real[kind]) for kind in FACTORISATIONS},
        "einsum": _einsum,
        "reduce": _reduce,
        "cumulate": _cumulate,
        **dict.fromkeys(("mean", "global_avg_pool"), _per_input(ADD)),
        "norm": _per_input(4),  # two squares, two additions
        "var": _per_input(8),  # mean, subtract, squared magnitude, mean
        "scatter_add": lambda op: (0, ADD * real["scatter_add"](op)[1]),
    }
