"""ptflops with its ATen back end: the products of PyTorch's operators below autograd, with most biases."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from mbanalyze.conventions.convention import Amount, Convention, Record, Rule
from mbanalyze.conventions.op_rules import BIAS, MACS
from mbanalyze.conventions.recurrent_rules import RECURRENT, forward_params, steps
from mbanalyze.ops.calls import ModuleCall
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost

_UNCOUNTED = frozenset({"mv", "dot", "vdot", "addmv", "baddbmm", "addbmm"})
"""Products that run as operators without a rule."""


def _product(op: Op) -> int:
    by_vector = len(op.operands[1].shape) == 1
    return 0 if by_vector or op.operator.rstrip("_") in _UNCOUNTED else cost(op).macs or 0


def _added_matrix(op: Op) -> int:
    return prod(op.output[0].shape) if op.operator.rstrip("_") == "addmm" else 0


def _fused_bias(op: Op) -> int:
    """The bias of a linear layer that runs as one `addmm`; another input is multiplied first, and the sum is no product."""
    data = op.operands[0]
    fused = len(data.shape) <= 2 or data.strides is None
    return prod(op.output[0].shape) if len(op.operands) > 2 and fused else 0


def _recurrent_bias(call: ModuleCall) -> int:
    """The biases, without those of the first layer's inputs if these are transposed to have the steps first."""
    biases = sum(forward_params(call, "bias"))
    if call.settings.get("batch_first") and min(call.inputs[0][:-1]) > 1:
        biases -= sum(forward_params(call, "bias_ih_l0"))
    return steps(call) * biases


def _lstm(call: ModuleCall) -> int:
    """The products with all weights in an LSTM that projects its state; any other runs as one operator without a rule."""
    return steps(call) * sum(forward_params(call, "weight")) if call.settings["proj_size"] else 0


def _lstm_bias(call: ModuleCall) -> int:
    return _recurrent_bias(call) if call.settings["proj_size"] else 0


def _attentions(record: Record) -> Iterator[Amount]:
    """The macs of attention that runs as two products; the usual attention runs as one operator without a rule."""
    learned: set[int] = set()
    for i, op in enumerate(record.ops):
        if op.kind == "attention" and _as_products(op, learned):
            what = "attention: macs, where it runs as products"
            yield Amount(what, record.macs[i], i, i + 1)
        if any(_is_learned(value, learned) for value in op.operands):
            learned.update(value.number for value in op.output if value.role == "activation")


def _as_products(op: Op, learned: set[int]) -> bool:
    """True if the operands do not suit the fused operator of CPUs, such as a mask with a gradient."""
    query, _, value, *mask = op.operands
    steps_of_one = all(each.strides is None or each.strides[-1] in (0, 1) for each in op.operands[:3])
    fused = len(query.shape) == 4 and query.shape[-1] == value.shape[-1] and steps_of_one
    return not fused or any(_is_learned(each, learned) for each in mask)


def _is_learned(value: Value, learned: set[int]) -> bool:
    """True for a parameter, and for an activation that depends on one."""
    return value.role == "weight" or (value.role == "activation" and value.number in learned)


_RECURRENT_BIAS: Rule[ModuleCall] = Rule(
    "1 for each bias and step, except of transposed inputs", _recurrent_bias, claims=False
)

PTFLOPS_ATEN = Convention(
    "ptflops-aten",
    "ptflops, ATen back end",
    "ptflops",
    "0.7.5",
    kinds={
        "conv": (MACS, BIAS),
        "linear": (
            MACS,
            Rule(
                "1 for each output element with a bias, if the input is contiguous", _fused_bias, claims=False
            ),
        ),
        "matmul": (
            Rule("macs, 0 for products with vectors or with a sum", _product),
            Rule("1 for each element that addmm adds", _added_matrix, claims=False),
        ),
        "einsum": (MACS,),
    },
    classes={
        **dict.fromkeys(("nn.GRU", "nn.RNN"), (RECURRENT, _RECURRENT_BIAS)),
        **{f"nn.{cell}Cell": (RECURRENT, _RECURRENT_BIAS) for cell in ("GRU", "RNN", "LSTM")},
        "nn.LSTM": (
            Rule("1 for each weight and step, only with a projection", _lstm),
            Rule("1 for each bias and step, only with a projection", _lstm_bias, claims=False),
        ),
    },
    record_rules=(_attentions,),
    note="ptflops counts nothing inside `torch.inference_mode` with this back end",
)
