"""What one operator costs: a formula per kind, gathered in `ARITHMETIC`, and `cost(op)`.

A formula returns only multiply-accumulates and flops. Parameters, reads and writes follow from the
record, so that no formula can forget them. Sizes by letter: `n` batch,
`c` channels in, `k` channels out, `g` groups, `h w` height and width, `m` the summed dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mbanalyze.cost import PRODUCTS, Cost, Op, Value, anywhere

Formula = Callable[[Op], tuple[int, int]]


def conv(op: Op) -> tuple[int, int]:
    """`g` groups of `c/g` channels under a kernel, at every output (transposed: every input) element.

    One per bias add. Padding is multiplied like any other input.
    """
    # [n, k, *out] = conv([n, c, *in], [k, c/g, *kernel], [k]?)
    # [n, k, *out] = transposed([n, c, *in], [c, k/g, *kernel], [k]?)
    image, weight, *bias = op.operands
    (out,) = op.output
    swept = image if op.attribute("transposed") else out
    macs = prod(swept.shape) * prod(weight.shape[1:])
    return macs, 2 * macs + (out.size if bias else 0)


def linear(op: Op) -> tuple[int, int]:
    """`m` multiply-accumulates for every output element, and one per bias add."""
    # [*, k] = linear([*, m], [k, m], [k]?)
    _, weight, *bias = op.operands
    (out,) = op.output
    macs = out.size * weight.shape[-1]
    return macs, 2 * macs + (out.size if bias else 0)


def matmul(op: Op) -> tuple[int, int]:
    """`m` multiply-accumulates for every output element, and one per element of an added matrix."""
    # [*, n, k] = matmul([*, n, m], [*, m, k], [*, n, k]?)
    left, _, *added = op.operands
    (out,) = op.output
    macs = out.size * left.shape[-1]
    return macs, 2 * macs + (out.size if added else 0)


def max_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` comparisons."""
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * (prod(window) - 1)


def avg_pool(op: Op) -> tuple[int, int]:
    """A window of `a` elements takes `a - 1` additions and one division."""
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * prod(window)


def mean(op: Op) -> tuple[int, int]:
    """Averaging `a` elements takes `a - 1` additions and one division: one flop for every element read."""
    return 0, prod(op.operands[0].shape)


def adaptive_avg_pool(op: Op) -> tuple[int, int]:
    """Output `i` of `o` averages inputs `floor(i h / o)` up to `ceil((i + 1) h / o)`."""
    # [*, *out] = adaptive([*, *in])
    dims = op.attribute("dims")
    assert isinstance(dims, int)
    image, out = op.operands[0].shape, op.output[0].shape
    elements = prod(out[:-dims])
    for h, o in zip(image[-dims:], out[-dims:], strict=True):
        elements *= sum(-((i + 1) * h // -o) - i * h // o for i in range(o))
    return 0, elements


def per_element(flops: int) -> Formula:
    """A formula of `flops` for every output element."""

    def formula(op: Op) -> tuple[int, int]:
        return 0, flops * op.output[0].size

    return formula


ELEMENTWISE = {
    "relu": 1,  # max(x, 0)
    "relu6": 1,  # min(max(x, 0), 6), one clamp
    "clamp": 1,
    "hard_sigmoid": 3,  # add, clamp, divide
    "hard_swish": 4,  # hard_sigmoid, multiply
    "sigmoid": 4,  # negate, exp, add, divide
    "silu": 5,  # sigmoid, multiply
    "add": 1,
    "sub": 1,
    "mul": 1,
    "div": 1,
    "pow": 1,  # a transcendental
}
"""Kinds that compute each output element alone -> flops of one."""

BINARY = frozenset({"add", "sub", "mul", "div", "pow"})
"""Those of two operands, the second of which may be a number."""

ARITHMETIC: dict[str, Formula] = {
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "batch_norm": per_element(2),  # inference: one multiply, one add
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": mean,
    "mean": mean,
    "adaptive_avg_pool": adaptive_avg_pool,
    "cat": per_element(0),  # moves, computes nothing
    "copy": per_element(0),
    "pad": per_element(0),
    **{kind: per_element(flops) for kind, flops in ELEMENTWISE.items()},
}
"""Kind of operator -> its formula. What is not here is unknown, never zero."""


def _same(a: Value, b: Value) -> bool:
    """Whether two operands are the same elements; sizes may be arrays."""
    if a is b or (a.role, a.number, len(a.shape)) != (b.role, b.number, len(b.shape)):
        return a is b
    differs = [m != n for m, n in zip((*a.shape, a.offset), (*b.shape, b.offset), strict=True)]
    return not any(map(anywhere, differs)) and a.strides == b.strides


def cost(op: Op) -> Cost:
    """What `op` costs; macs, flops and activations are None when its kind has no formula."""
    formula = ARITHMETIC.get(op.kind)
    macs, flops = formula(op) if formula else (None, None)
    read = [value for i, value in enumerate(op.operands) if not any(_same(value, v) for v in op.operands[:i])]
    writes = sum(value.size for value in op.output)
    moved = [(value.size, value.itemsize) for value in (*read, *op.output)]
    return Cost(
        params=op.params,
        macs=macs,
        flops=flops,
        activations=writes if op.kind in PRODUCTS else 0 if formula else None,
        reads=sum(value.size for value in read),
        writes=writes,
        fixed=sum(size for size, itemsize in moved if itemsize),
        fixed_bytes=sum(size * itemsize for size, itemsize in moved if itemsize),
    )
