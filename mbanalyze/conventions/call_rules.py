"""Rules of module calls that several conventions share."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.convention import Rule
from mbanalyze.ops.calls import ModuleCall


def out_elements(call: ModuleCall) -> int:
    """Return the elements of the first output."""
    return prod(call.outputs[0])


def in_elements(call: ModuleCall) -> int:
    """Return the elements of the first input."""
    return prod(call.inputs[0])


def _conv(call: ModuleCall) -> int:
    """`n k h w` outputs of a filter with weights `k c/g r s`: the product of all sizes."""
    return out_elements(call) * prod(call.params["weight"][1:])


def _linear(call: ModuleCall) -> int:
    """`n k` outputs of weights `k c`: n k c."""
    return out_elements(call) * call.params["weight"][1]


def _bias(call: ModuleCall) -> int:
    return out_elements(call) if "bias" in call.params else 0


CONV: Rule[ModuleCall] = Rule("1 for each output element and weight of its filter", _conv)
"""The multiply-accumulates of a convolution; those of a transposed one need a rule of their own."""
LINEAR: Rule[ModuleCall] = Rule("1 for each output element and input feature", _linear)
"""The multiply-accumulates of a linear layer."""
BIAS: Rule[ModuleCall] = Rule("1 for each output element with a bias", _bias, claims=False)
"""One for each output element that a bias is added to."""


def each_output(n: int) -> Rule[ModuleCall]:
    """Return the rule of `n` for each output element."""
    return Rule(f"{n} for each output element", lambda call: n * out_elements(call))


def each_input(n: int) -> Rule[ModuleCall]:
    """Return the rule of `n` for each element of the first input."""
    return Rule(f"{n} for each input element", lambda call: n * in_elements(call))
