"""Rules of module calls that several conventions share."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.convention import ConventionError, Rule
from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.calls import ModuleCall


def out_elements(call: ModuleCall) -> int:
    """Return the elements of the first output."""
    return prod(call.outputs[0])


def first_input(call: ModuleCall) -> Sizes:
    """Return the shape of the first tensor among the positional arguments.

    Raises:
        ConventionError: there is none; hooks do not receive keyword arguments.
    """
    if not call.inputs:
        raise ConventionError(f"{call.path or call.type} has no input by position, which its hook needs")
    return call.inputs[0]


def in_elements(call: ModuleCall) -> int:
    """Return the elements of the first input."""
    return prod(first_input(call))


def number(call: ModuleCall, name: str) -> int:
    """Return a setting of the module that is a number.

    Raises:
        ConventionError: it is none, such as the `dim` of an `nn.Softmax` that guesses its dimension.
    """
    value = call.settings.get(name)
    if not isinstance(value, int):
        raise ConventionError(
            f"no rule counts {call.type} at {call.path or '(model)'}: its {name} is {value}, not a number"
        )
    return value


def kernel(call: ModuleCall) -> int:
    """Return the places of the kernel of a convolution."""
    sizes = call.settings["kernel_size"]
    assert isinstance(sizes, tuple)
    return prod(int(size) for size in sizes)


def has_bias(call: ModuleCall) -> bool:
    """Return True if the module has a bias, pruned or not."""
    return any(name in call.params for name in ("bias", "bias_orig"))


def _conv(call: ModuleCall) -> int:
    """`n k h w` outputs of filters with `c/g r s` weights each: the product of all sizes."""
    return out_elements(call) * (number(call, "in_channels") // number(call, "groups")) * kernel(call)


def _linear(call: ModuleCall) -> int:
    """`n k` outputs of `c` inputs each: n k c."""
    return out_elements(call) * number(call, "in_features")


def _bias(call: ModuleCall) -> int:
    return out_elements(call) if has_bias(call) else 0


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
