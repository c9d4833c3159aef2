"""The tensors that each kind of operator keeps for its backward pass, as PyTorch's CPU kernels do."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.formulas import DATA_MOVEMENT
from mbanalyze.ops.record import Op
from mbanalyze.training import saved_products
from mbanalyze.training.gradients import Needs, is_float
from mbanalyze.training.kept import (
    Kept,
    SavedRule,
    all_and_result,
    both,
    first,
    integers,
    nothing,
    operand,
    others,
    result,
    result_in_place,
    together,
)

INDEX_BYTES = 8
"""Bytes of an index, an int64."""


def quotient(op: Op, needs: Needs) -> Kept:
    """The divisor, and the dividend if the divisor needs a gradient."""
    kept = range(1, len(op.operands)) if not any(needs[1:]) else range(len(op.operands))
    return together(*[operand(op, i) for i in kept])


def power(op: Op, needs: Needs) -> Kept:
    """The base; if the exponent is a tensor, also the exponent and the output."""
    return both(op, needs) if len(op.operands) < 2 else all_and_result(op, needs)


def hypotenuse(op: Op, needs: Needs) -> Kept:
    """The output, and each operand that needs a gradient."""
    kept = [operand(op, i) for i, need in enumerate(needs) if need]
    return together(*kept, result(op, needs))


def second_gradient(op: Op, needs: Needs) -> Kept:
    """Both operands if the second one needs a gradient, else nothing."""
    return both(op, needs) if any(needs[1:]) else Kept()


def fused_product(op: Op, needs: Needs) -> Kept:
    """Of an added product, each factor that the gradient of the other needs."""
    kept = [i for i in (1, 2) if needs[3 - i]]
    return together(*[operand(op, i) for i in kept])


def fused_quotient(op: Op, needs: Needs) -> Kept:
    """Of an added quotient, the divisor, and the dividend if the divisor needs a gradient."""
    kept = ([1] if needs[2] else []) + ([2] if needs[1] or needs[2] else [])
    return together(*[operand(op, i) for i in kept])


def lerp(op: Op, needs: Needs) -> Kept:
    """The weight for the gradients of both ends, and both ends for that of the weight."""
    ends = [0, 1] if any(needs[2:]) else []
    weight = [2] if len(op.operands) > 2 and any(needs[:2]) else []
    return together(*[operand(op, i) for i in ends + weight])


def gather(op: Op, needs: Needs) -> Kept:
    """The indices; `gather`, `take` and `masked_select` also keep the table."""
    kept = integers(op, needs)
    if op.operator in ("gather", "take", "masked_select"):
        return kept._replace(values=(op.operands[0], *kept.values))
    return kept


def pad(op: Op, needs: Needs) -> Kept:
    """Nothing; padding by reflection or replication keeps the input."""
    mode = op.attribute("mode") or op.operator
    return first(op, needs) if str(mode).startswith(("refl", "repl")) else Kept()


def dropout(op: Op, needs: Needs) -> Kept:
    """The mask, scaled, of the input's type; dropout of channels has one number per channel.

    The fused kernel (`native_dropout`, on GPUs) keeps one byte per element.
    """
    shape = op.operands[0].shape
    if op.operator.startswith("native_dropout"):
        return Kept(fixed_bytes=prod(shape))
    return Kept(elements=prod(shape[:2] if op.operator.startswith("feature") else shape))


def max_pool(op: Op, needs: Needs) -> Kept:
    """The input and the int64 index of each output."""
    return Kept(
        op.operands[:1] + op.output[1:], fixed_bytes=INDEX_BYTES * op.output[0].size * (len(op.output) < 2)
    )


def global_avg_pool(op: Op, needs: Needs) -> Kept:
    """Nothing, as a mean; a pooling with a window of the image's size keeps the input."""
    return first(op, needs) if op.operator.startswith("avg_pool") else Kept()


def extremum(op: Op, needs: Needs) -> Kept:
    """The indices of the selected elements; without indices the input and the output."""
    indices = tuple(value for value in op.output if not is_float(value))
    return Kept(indices) if indices else Kept((op.operands[0], *op.output))


def reduce(op: Op, needs: Needs) -> Kept | None:
    """Nothing for a sum; an extremum keeps its indices, or the input and the output."""
    if not op.operator:
        return None
    return Kept() if op.operator == "sum" else extremum(op, needs)


def cumulate(op: Op, needs: Needs) -> Kept | None:
    """Nothing for a running sum; others keep the input and the output, or the indices."""
    if not op.operator:
        return None
    return Kept() if op.operator.startswith("cumsum") else extremum(op, needs)


def scatter_add(op: Op, needs: Needs) -> Kept | None:
    """The indices of a sum; other combinations are unknown."""
    known = ("scatter_add", "index_add", "index_put", "_index_put_impl", "put", "col2im")
    return integers(op, needs) if op.operator.removesuffix("_") in known else None


def var(op: Op, needs: Needs) -> Kept:
    """The input, and a standard deviation itself."""
    return Kept((op.operands[0], *(op.output[:1] if op.operator.startswith("std") else ())))


def batch_norm(op: Op, needs: Needs) -> Kept:
    """The input and the scale, and the stored statistics."""
    return Kept(op.operands[: 1 + (len(op.operands) > 3)])


def batch_norm_training(op: Op, needs: Needs) -> Kept:
    """The input and the scale, and the mean and the inverse deviation of each channel."""
    return Kept(op.operands[: 1 + (number(op, "affine") > 0)], elements=2 * op.operands[0].shape[1])


def layer_norm(op: Op, needs: Needs) -> Kept:
    """All operands, and the mean and the inverse deviation of each row: the last dimension, or those of the weight."""
    return Kept(op.operands, elements=2 * _rows(op))


def rms_norm(op: Op, needs: Needs) -> Kept:
    """The input and the inverse root of each row for the input's gradient; the normalised value for the weight's.

    A row is the last dimension, or those of the weight.
    """
    normalised = prod(op.operands[0].shape) if any(needs[1:]) else 0
    return Kept(op.operands[:1], normalised + _rows(op)) if needs[0] else Kept(elements=normalised)


def _rows(op: Op) -> int:
    shape = op.operands[0].shape
    dims = len(op.operands[1].shape) if number(op, "affine") else 1
    return prod(shape[: len(shape) - dims])


def group_norm(op: Op, needs: Needs) -> Kept | None:
    """The input and the scale, and the mean and the inverse deviation of each group of each image."""
    groups, scale = number(op, "groups"), number(op, "affine") > 0
    return Kept(op.operands[: 1 + scale], elements=2 * op.operands[0].shape[0] * groups) if groups else None


def instance_norm(op: Op, needs: Needs) -> Kept:
    """The input, and for each channel of each image the mean, the inverse deviation and a copy of the scale.

    The copies of running statistics are left out, because the record does not show if the norm has any.
    """
    channels = prod(op.operands[0].shape[:2])
    return Kept(op.operands[:1], elements=channels * (2 + (number(op, "affine") > 0)))


def weight_norm(op: Op, needs: Needs) -> Kept:
    """Direction, magnitude, and the norm that divides the direction."""
    return Kept(op.operands, op.operands[1].size)


def log_sigmoid(op: Op, needs: Needs) -> Kept:
    """The input and its exponential."""
    return Kept(op.operands[:1], prod(op.operands[0].shape))


def loss(op: Op, needs: Needs) -> Kept:
    """The prediction, the target and the weights."""
    return Kept(op.operands)


def nll_loss(op: Op, needs: Needs) -> Kept:
    """The prediction, the target, the weights and their sum."""
    return Kept(op.operands, 1)


SAVED: Mapping[str, SavedRule] = {
    **dict.fromkeys(("conv", "deform_conv"), both),
    "bilinear": others,
    "linear": saved_products.linear,
    "matmul": saved_products.matmul,
    "einsum": saved_products.einsum,
    "attention": saved_products.attention,
    "batch_norm": batch_norm,
    "batch_norm_training": batch_norm_training,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "weight_norm": weight_norm,
    "dropout": dropout,
    **dict.fromkeys(("max_pool", "adaptive_max_pool"), max_pool),
    **dict.fromkeys(("avg_pool", "adaptive_avg_pool"), first),
    "global_avg_pool": global_avg_pool,
    "reduce": reduce,
    "cumulate": cumulate,
    "sort": extremum,
    "scatter_add": scatter_add,
    "var": var,
    **dict.fromkeys(DATA_MOVEMENT, integers),
    "pad": pad,
    "embedding": integers,
    "gather": gather,
    **dict.fromkeys(("norm", "log_sum_exp"), all_and_result),
    **dict.fromkeys(("add", "sub", "neg", "scaled_add", "mean", "interpolate", "affine_grid"), nothing),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), nothing),
    "mul": others,
    "div": quotient,
    "pow": power,
    "remainder": second_gradient,
    **dict.fromkeys(("addcmul", "scaled_addcmul"), fused_product),
    **dict.fromkeys(("addcdiv", "scaled_addcdiv"), fused_quotient),
    "lerp": lerp,
    **dict.fromkeys(("maximum", "minimum", "atan2", "log_add_exp", "grid_sample"), both),
    "hypot": hypotenuse,
    **dict.fromkeys(("relu", "sigmoid", "tanh", "softmax", "log_softmax"), result),
    **dict.fromkeys(("sqrt", "rsqrt", "exp", "exp2", "expm1", "tan", "reciprocal", "erfinv"), result),
    **dict.fromkeys(("elu", "celu", "selu", "leaky_relu"), result_in_place),
    **dict.fromkeys(("relu6", "hard_shrink", "soft_shrink", "threshold"), first),
    "clamp": both,
    **dict.fromkeys(("hard_sigmoid", "hard_swish", "silu", "softplus", "mish", "gelu", "gelu_tanh"), first),
    **dict.fromkeys(("abs", "square", "log", "log2", "log10", "log1p", "erf", "sin", "cos"), first),
    **dict.fromkeys(("asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"), first),
    **dict.fromkeys(("nan_to_num", "glu"), first),
    "prelu": both,
    "log_sigmoid": log_sigmoid,
    **dict.fromkeys(("mse_loss", "smooth_l1_loss", "huber_loss", "bce_loss", "bce_with_logits_loss"), loss),
    "soft_margin_loss": loss,
    "nll_loss": nll_loss,
}
"""Kind of operator -> the tensors that it keeps. Those of any other kind are unknown."""
