"""The cost of the backward pass of each operator, by a rule for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mbanalyze.ops.cost import Count
from mbanalyze.ops.formulas import DATA_MOVEMENT, GATHERS
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.sequence_formulas import RECURRENT_CELLS
from mbanalyze.training_cost import product_gradients as products
from mbanalyze.training_cost import reduction_gradients as reductions
from mbanalyze.training_cost.elementwise_gradients import DERIVATIVES, elementwise
from mbanalyze.training_cost.gradients import Key, Needs, Rule, key_of, needs
from mbanalyze.training_cost.storages import storage_sizes

RULES: Mapping[str, Rule] = {
    "conv": products.conv,
    "linear": products.linear,
    "matmul": products.matmul,
    "bilinear": products.bilinear,
    "einsum": products.einsum,
    "deform_conv": products.deform_conv,
    "affine_grid": products.affine_grid,
    "attention": products.attention,
    **dict.fromkeys(RECURRENT_CELLS, products.recurrent),
    "batch_norm": reductions.batch_norm,
    "batch_norm_training": reductions.batch_norm_training,
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), reductions.layer_norm),
    "rms_norm": reductions.rms_norm,
    "weight_norm": reductions.per_output(5, "multiply, sum, multiply, subtract, multiply"),
    "softmax": reductions.per_output(4, "multiply, sum, subtract, multiply"),
    "log_softmax": reductions.per_output(4, "sum, exp, multiply, subtract"),
    "glu": reductions.per_output(9, "sigmoid (4), multiply; multiply, subtract, multiply, multiply"),
    "max_pool": reductions.per_output(1, "add to the largest element"),
    "adaptive_max_pool": reductions.per_output(1, "add to the largest element"),
    "avg_pool": reductions.avg_pool,
    "adaptive_avg_pool": reductions.adaptive_avg_pool,
    **dict.fromkeys(("mean", "global_avg_pool"), reductions.per_input(1, "divide")),
    "interpolate": reductions.interpolate,
    "norm": reductions.per_input(1, "multiply by the quotient of the gradient and the norm"),
    "var": reductions.per_input(3, "mean, subtract, multiply"),
    "log_sum_exp": reductions.per_input(3, "subtract, exp, multiply"),
    "reduce": reductions.reduce,
    "cumulate": reductions.cumulate,
    "sort": reductions.per_input(0, "moved to the sorted elements"),
    "embedding_bag": reductions.embedding_bag,
    "scatter_add": reductions.scatter_add,
    **dict.fromkeys(DATA_MOVEMENT, reductions.moved),
    **{kind: elementwise(derivative) for kind, derivative in DERIVATIVES.items()},
    **dict.fromkeys(sorted(GATHERS), reductions.per_output(1, "add to the selected element")),
    "mse_loss": reductions.loss(3, "subtract, scale, multiply"),
    **dict.fromkeys(
        ("smooth_l1_loss", "huber_loss"), reductions.loss(5, "subtract, compare, compare, scale, multiply")
    ),
    "bce_loss": reductions.loss(5, "subtract, subtract, multiply, divide, multiply"),
    "bce_with_logits_loss": reductions.loss(6, "sigmoid (4), subtract, multiply"),
    "soft_margin_loss": reductions.loss(7, "multiply, negate, exp, increment, divide, multiply, multiply"),
    "nll_loss": reductions.nll_loss,
}
"""Kind of operator -> the rule of its backward pass. The cost of any other kind is unknown, never zero."""


class BackwardCost(NamedTuple):
    """The cost of the backward pass of an operator or of a sum of operators, in exact counts; None is unknown.

    Attributes:
        macs: multiply-accumulates of the gradients of inputs and weights.
        flops: all arithmetic, two per multiply-accumulate, with the sums of the gradients of values read twice.
    """

    macs: Count = 0
    flops: Count = 0


def backward(ops: Sequence[Op], frozen: Iterable[int] = ()) -> list[BackwardCost]:
    """Return the cost of the backward pass of each operator of a record.

    A gradient arrives at every output of the network. An operator whose operands need no gradient costs nothing.
    The gradient of a value that several operators read is a sum: each reader except the last adds its own.

    Args:
        ops: the record, in order.
        frozen: the numbers of the weights that require no gradient.
    """
    needed = needs(ops, frozen)
    return [
        _cost(op, need, additions)
        for op, need, additions in zip(ops, needed, _additions(ops, needed), strict=True)
    ]


def _cost(op: Op, need: Needs, additions: int) -> BackwardCost:
    if not any(need):
        return BackwardCost()
    rule = RULES.get(op.kind)
    is_complex = any(value.is_complex for value in op.operands + op.output)
    found = rule(op, need) if rule and not is_complex else None
    if found is None:
        return BackwardCost(None, None)
    macs, flops = found
    return BackwardCost(macs, None if flops is None else flops + additions)


def _additions(ops: Sequence[Op], needed: Sequence[Needs]) -> list[int]:
    """For each operator, the elements of its operands' gradients that are added to those of a later reader."""
    sizes, later = storage_sizes(ops), dict[Key, list[Value]]()
    additions = [0] * len(ops)
    for i in reversed(range(len(ops))):
        for value, need in zip(ops[i].operands, needed[i], strict=True):
            if need:
                readers = later.setdefault(key_of(value), [])
                if any(_overlap(value, other, sizes[key_of(value)]) for other in readers):
                    additions[i] += value.size
                readers.append(value)
    return additions


def _overlap(a: Value, b: Value, size: int) -> bool:
    """True if two views of a tensor share elements: they start at the same one, or either is the whole tensor."""
    if not any_true(a.offset != b.offset):
        return True
    return not any_true(a.size != size) or not any_true(b.size != size)
