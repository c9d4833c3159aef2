"""Rules of calls of Python functions that several conventions share."""

from __future__ import annotations

from itertools import zip_longest
from math import prod

from mbanalyze.conventions.convention import Rule
from mbanalyze.ops.calls import FunctionCall, Setting


def argument(call: FunctionCall, position: int, name: str, default: Setting = None) -> Setting:
    """Return an argument that is not a tensor, given by position or by name."""
    return call.arguments.get(position, call.arguments.get(name, default))


def each_element(what: str) -> Rule[FunctionCall]:
    """Return the rule of one for each element of the first input, in the words `what`."""
    return Rule(what, lambda call: prod(call.inputs[0]))


def _product(call: FunctionCall) -> int:
    """`b... n k` times `... k m`: b n k m. A second factor that is a vector, `k`, gives b n k k."""
    return prod(call.inputs[0]) * call.inputs[1][-1]


def _summed_product(call: FunctionCall) -> int:
    """A matrix, plus `b n k` times `b k m`: b n k m."""
    return prod(call.inputs[1]) * call.inputs[2][-1]


def _added(call: FunctionCall) -> int:
    return prod(call.inputs[0]) if call.arguments.get("beta", 1) != 0 else 0


def _elementwise(call: FunctionCall) -> int:
    """`n c` and `c`: n or c, the larger, times c, since the sizes are compared from the first one on."""
    return prod(max(sizes) for sizes in zip_longest(*call.inputs[:2], fillvalue=1))


def _interpolated(call: FunctionCall) -> int:
    """`n c h w` to the size `s t`: n c s t; by the factor f: n c h w f f, by factors with their fractions cut off."""
    shape = call.inputs[0]
    size, factor = argument(call, 1, "size"), argument(call, 2, "scale_factor")
    if size is not None:
        sizes = size if isinstance(size, tuple) else (size,) * (len(shape) - 2)
        return prod(shape[:2]) * prod(map(int, sizes))
    if isinstance(factor, tuple):
        return prod(shape) * prod(map(int, factor))
    return int(prod(shape) * float(factor or 0) ** (len(shape) - 2))


MATRIX_PRODUCT: Rule[FunctionCall] = Rule(
    "1 for each element of the first factor and size of the last dimension of the second", _product
)
"""The product of two matrices, or of batches of them."""
SUMMED_PRODUCT: Rule[FunctionCall] = Rule("macs of the product", _summed_product)
"""The product in `addmm` and `baddbmm`."""
ADDED_MATRIX: Rule[FunctionCall] = Rule("1 for each element of the added matrix", _added, claims=False)
"""The sum in `addmm` and `baddbmm`."""
ELEMENTWISE: Rule[FunctionCall] = Rule(
    "1 for each element, with sizes compared from the first dimension", _elementwise
)
"""One for each element of two tensors, or of a tensor and a number."""
INTERPOLATE: Rule[FunctionCall] = Rule("1 for each output element by the function", _interpolated)
"""One for each element of an enlarged tensor."""
