"""The multiply-accumulates of the operators that a backward pass dispatches.

They check those of the rules in `mbanalyze.training_cost`. The two share the formulas of the forward pass and nothing else:
here PyTorch decides which gradients are computed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.record import Attribute, Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.trace.matching.free import is_free, is_query
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.schema import Arguments, OpSchema, flat_tensors

_schema = functools.cache(OpSchema)

_OTHER_PRODUCTS = ("conv", "rnn", "lstm", "attention", "mkldnn", "linear_backward", "dist_backward")
"""Parts of the names of operators that multiply; without a rule of its own, the count of such a one is unknown."""


class BackwardWork:
    """Adds up the multiply-accumulates of operators, each by the formula of its kind.

    Attributes:
        macs: the sum of the known counts.
        uncounted: the names of the operators without a formula, as keys.
    """

    def __init__(self) -> None:
        self.macs = 0
        self.uncounted: dict[str, None] = {}

    def add(self, overload: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Add one operator."""
        schema = _schema(overload)
        macs = _macs(schema, schema.bind(args, kwargs), result)
        if macs is None:
            self.uncounted[schema.qualified_name] = None
        else:
            self.macs += macs


def _macs(schema: OpSchema, args: Arguments, result: Any) -> int | None:
    """The multiply-accumulates of an operator; None if it has no formula."""
    if gradient := _GRADIENTS.get(schema.base_name):
        return gradient(args)
    matcher = MATCHERS.get(schema.base_name)
    match = matcher(args) if matcher else None
    if match is None:
        return 0 if _multiplies_nothing(schema, args) else None
    if match.kind not in PRODUCTS:
        return 0
    outputs = flat_tensors((result,))[: match.outputs]
    return _product(match.kind, match.operands, outputs, match.attributes)


def _multiplies_nothing(schema: OpSchema, args: Arguments) -> bool:
    """True for an operator that does no work, and for the gradient of one that multiplies no matrices."""
    name = schema.base_name
    if schema.returns_views or is_free(name, args) or is_query(name):
        return True
    is_gradient = schema.qualified_name.startswith("aten::") and "_backward" in name
    return is_gradient and not any(part in name for part in _OTHER_PRODUCTS)


def _product(
    kind: str,
    operands: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    attributes: Mapping[str, Attribute] | None = None,
) -> int | None:
    """The multiply-accumulates of one operator that multiplies, by the formula of its kind."""
    read, written = (
        tuple(
            Value("activation", number, tuple(tensor.shape), is_complex=tensor.is_complex())
            for number, tensor in enumerate(tensors)
        )
        for tensors in (operands, outputs)
    )
    return cost(Op("", kind, read, written, attributes=tuple(sorted((attributes or {}).items())))).macs


def _convolution(args: Arguments) -> int | None:
    """Each gradient, of the input and of the weight, multiplies as often as the convolution itself."""
    attributes = {"transposed": True} if args["transposed"] else None
    once = _product("conv", (args["input"], args["weight"]), (args["grad_output"],), attributes)
    return None if once is None else once * sum(args["output_mask"][:2])


def _attention(args: Arguments) -> int | None:
    """The scores are computed again, which is one product; each product of the forward has two gradients."""
    query, key = args["query"], args["key"]
    forward = _product("attention", (query, key, args["value"]), (args["out"],))
    scores = query.numel() * key.shape[-2]
    return None if forward is None else 2 * forward + scores


_GRADIENTS: Mapping[str, Callable[[Arguments], int | None]] = {
    "convolution_backward": _convolution,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _attention,
}
"""Base name of an operator that computes several gradients -> its count."""
