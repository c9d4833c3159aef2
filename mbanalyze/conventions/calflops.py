"""calflops: the macs of the Python functions that it replaces; its flops are another number."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mbanalyze.conventions.convention import Amount, Convention, Record, Rule
from mbanalyze.conventions.function_rules import MATRIX_PRODUCT, SUMMED_PRODUCT, argument
from mbanalyze.ops.calls import FunctionCall


def _linear(call: FunctionCall) -> int:
    """`... c` by weights `k c`: ... c k."""
    return prod(call.inputs[0]) * call.inputs[1][0]


def _conv(call: FunctionCall) -> int:
    """`n c h w` by weights `k c/g r s`: n h w k c r s / g, at the places that it computes from the padding."""
    data, weight, *_ = call.inputs
    places = call.outputs[0][2:]
    if argument(call, 4, "padding") == "same":
        dilation = argument(call, 5, "dilation", 1)
        each = dilation if isinstance(dilation, tuple) else (dilation,) * len(places)
        places = tuple(
            n - int(d or 0) * (k - 1) % 2 for n, d, k in zip(places, each, weight[2:], strict=True)
        )
    return data[0] * prod(places) * prod(weight)


def _transposed(call: FunctionCall) -> int:
    """`n c h w` by weights `c k/g r s`: n h w c r s times k/g, divided by the groups once more and rounded down."""
    data, weight, *_ = call.inputs
    groups = argument(call, 6, "groups", 1)
    assert isinstance(groups, int)
    return prod(data) * prod(weight[2:]) * (weight[1] // groups)


CONV: Rule[FunctionCall] = Rule("macs", _conv)
TRANSPOSED: Rule[FunctionCall] = Rule("macs, divided by the groups once more", _transposed)


def _shared(record: Record) -> Iterator[Amount]:
    """The functions that a module calls are added for each module that holds it."""
    places = {call.path: call.places for call in record.modules}
    for call in record.functions:
        macs = sum(rule.count(call) for rule in CALFLOPS.functions.get(call.name, ()))
        again = macs * (places.get(call.path, 1) - 1)
        yield Amount(
            "functions of a module: counted again for each module that holds it",
            again,
            call.first,
            call.last,
            False,
        )


CALFLOPS = Convention(
    "calflops",
    "calflops",
    "calflops",
    "0.3.2",
    functions={
        "torch.nn.functional.linear": (Rule("macs", _linear),),
        **{f"torch.nn.functional.conv{d}d": (CONV,) for d in (1, 2, 3)},
        **{f"torch.nn.functional.conv_transpose{d}d": (TRANSPOSED,) for d in (1, 2, 3)},
        **dict.fromkeys(("torch.matmul", "torch.Tensor.matmul"), (MATRIX_PRODUCT,)),
        **dict.fromkeys(("torch.addmm", "torch.Tensor.addmm", "torch.baddbmm"), (SUMMED_PRODUCT,)),
    },
    record_rules=(_shared,),
)
