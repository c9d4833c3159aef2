"""The tensors that each kind of operator keeps for its backward pass, as PyTorch's CPU kernels do.

The rules follow PyTorch's `tools/autograd/derivatives.yaml`: a tensor is kept if the formula of a gradient reads it.
Where one formula gives the gradients of all operands, as of a convolution, it is kept whichever of them is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from math import prod
from typing import NamedTuple

from mbanalyze.ops.derivations import number
from mbanalyze.ops.formulas import DATA_MOVEMENT
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value, contiguous_strides
from mbanalyze.training.gradients import Needs, is_float
from mbanalyze.training.product_gradients import keeps_scores


class Kept(NamedTuple):
    """The tensors that an operator keeps.

    Attributes:
        values: operands and outputs.
        elements: elements of other tensors, of the report's dtype (a mask, a copy).
        statistics: elements of other tensors, of float32 or the report's dtype if that is wider.
        fixed_bytes: bytes of other tensors whose item size is fixed (an int64 index).
    """

    values: tuple[Value, ...] = ()
    elements: int = 0
    statistics: int = 0
    fixed_bytes: int = 0


SavedRule = Callable[[Op, Needs], Kept | None]
"""A function from an operator and its needed gradients to the tensors that it keeps; None if they are unknown."""

INDEX_BYTES = 8
"""Bytes of an index, an int64."""


def nothing(op: Op, needs: Needs) -> Kept:
    """Nothing: the gradient depends on shapes and numbers only."""
    return Kept()


def is_in_place(op: Op) -> bool:
    """Return True if the output overwrites an operand."""
    return op.operator.endswith("_") and not op.operator.endswith("__")


def _operand(op: Op, index: int) -> Kept:
    """An operand, or a copy of the first one if the output overwrites it."""
    value = op.operands[index]
    return Kept(elements=prod(value.shape)) if index == 0 and is_in_place(op) else Kept((value,))


def _together(*kept: Kept) -> Kept:
    """All of these tensors."""
    values = tuple(value for each in kept for value in each.values)
    return Kept(values, *(sum(numbers) for numbers in list(zip(*kept, strict=True))[1:]))


def first(op: Op, needs: Needs) -> Kept:
    """The input, or a copy of it if the output overwrites it."""
    return _operand(op, 0)


def result(op: Op, needs: Needs) -> Kept:
    """The output."""
    return Kept(op.output[:1])


def result_in_place(op: Op, needs: Needs) -> Kept:
    """The input, or the output if it overwrites the input."""
    return result(op, needs) if is_in_place(op) else first(op, needs)


def both(op: Op, needs: Needs) -> Kept:
    """All operands."""
    return _together(*[_operand(op, i) for i in range(len(op.operands))])


def all_and_result(op: Op, needs: Needs) -> Kept:
    """All operands and the output."""
    return both(op, needs)._replace(values=(*both(op, needs).values, *op.output[:1]))


def others(op: Op, needs: Needs) -> Kept:
    """Of a product of operands, each that the gradient of another one needs."""
    kept = [i for i in range(len(op.operands)) if any(needs[:i] + needs[i + 1 :])]
    return _together(*[_operand(op, i) for i in kept])


def quotient(op: Op, needs: Needs) -> Kept:
    """The divisor, and the dividend if the divisor needs a gradient."""
    kept = range(1, len(op.operands)) if not any(needs[1:]) else range(len(op.operands))
    return _together(*[_operand(op, i) for i in kept])


def power(op: Op, needs: Needs) -> Kept:
    """The base; if the exponent is a tensor, also the exponent and, for its gradient, the output."""
    return both(op, needs) if not any(needs[1:]) else all_and_result(op, needs)


def second_gradient(op: Op, needs: Needs) -> Kept:
    """Both operands if the second one needs a gradient, else nothing."""
    return both(op, needs) if any(needs[1:]) else Kept()


def fused_product(op: Op, needs: Needs) -> Kept:
    """Of an added product, each factor that the gradient of the other needs."""
    kept = [i for i in (1, 2) if needs[3 - i]]
    return _together(*[_operand(op, i) for i in kept])


def fused_quotient(op: Op, needs: Needs) -> Kept:
    """Of an added quotient, the divisor, and the dividend if the divisor needs a gradient."""
    kept = ([1] if needs[2] else []) + ([2] if needs[1] or needs[2] else [])
    return _together(*[_operand(op, i) for i in kept])


def lerp(op: Op, needs: Needs) -> Kept:
    """The weight for the gradients of both ends, and both ends for that of the weight."""
    ends = [0, 1] if any(needs[2:]) else []
    weight = [2] if len(op.operands) > 2 and any(needs[:2]) else []
    return _together(*[_operand(op, i) for i in ends + weight])


def integers(op: Op, needs: Needs) -> Kept:
    """The indices and masks."""
    return Kept(tuple(value for value in op.operands if not is_float(value)))


def gather(op: Op, needs: Needs) -> Kept:
    """The indices; `gather`, `take` and `masked_select` also keep the table."""
    kept = integers(op, needs)
    if op.operator in ("gather", "take", "masked_select"):
        return kept._replace(values=(op.operands[0], *kept.values))
    return kept


def pad(op: Op, needs: Needs) -> Kept:
    """Nothing; padding by reflection or replication keeps the input."""
    return first(op, needs) if op.operator.startswith(("reflection", "replication")) else Kept()


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
    known = ("scatter_add", "index_add", "index_put", "_index_put_impl", "put")
    return integers(op, needs) if op.operator.removesuffix("_") in known else None


def var(op: Op, needs: Needs) -> Kept:
    """The input, and a standard deviation itself."""
    return Kept((op.operands[0], *(op.output[:1] if op.operator.startswith("std") else ())))


def batch_norm(op: Op, needs: Needs) -> Kept:
    """The input; the scale and the statistics are stored anyway."""
    return first(op, needs)


def batch_norm_training(op: Op, needs: Needs) -> Kept:
    """The input, and the mean and the inverse deviation of each channel."""
    return Kept(op.operands[:1], statistics=2 * op.operands[0].shape[1])


def layer_norm(op: Op, needs: Needs) -> Kept:
    """The input, and the mean and the inverse deviation of each row: the last dimension, or those of the weight."""
    return Kept(op.operands[:1], statistics=2 * _rows(op))


def rms_norm(op: Op, needs: Needs) -> Kept:
    """The input, and the inverse root of each row: the last dimension, or those of the weight."""
    return Kept(op.operands[:1], statistics=_rows(op))


def _rows(op: Op) -> int:
    shape = op.operands[0].shape
    dims = len(op.operands[1].shape) if number(op, "affine") else 1
    return prod(shape[: len(shape) - dims])


def group_norm(op: Op, needs: Needs) -> Kept | None:
    """The input, and the mean and the inverse deviation of each group of each image."""
    groups = number(op, "groups")
    return Kept(op.operands[:1], statistics=2 * op.operands[0].shape[0] * groups) if groups else None


def instance_norm(op: Op, needs: Needs) -> Kept:
    """The input, and for each channel of each image the mean, the inverse deviation and a copy of the scale."""
    channels = prod(op.operands[0].shape[:2])
    return Kept(op.operands[:1], channels * (number(op, "affine") > 0), 2 * channels)


def linear(op: Op, needs: Needs) -> Kept:
    """The input for the gradient of the weight, and the weight for that of the input.

    An input that cannot be viewed as a matrix is copied.
    """
    data, weight = op.operands[:2]
    kept = Kept((weight,)) if needs[0] else Kept()
    return _together(kept, _viewed(data, [range(len(data.shape) - 1)])) if needs[1] else kept


def matmul(op: Op, needs: Needs) -> Kept:
    """Each factor that the gradient of the other needs.

    A batch that cannot be viewed with one dimension is copied, as is one that is broadcast.
    """
    kept = [_factor(op, i) for i in (0, 1) if needs[1 - i]]
    return _together(*kept)


def _factor(op: Op, position: int) -> Kept:
    """A factor of a product, as PyTorch multiplies it."""
    value, batch = op.operands[position], len(op.operands[position].shape) - 2
    if op.operator not in ("matmul", *ATTENTION) or batch < 1:
        return Kept((value,))
    if len(op.operands[1 - position].shape) > 2:
        repeats = prod(op.output[0].shape[:-2]) // max(prod(value.shape[:batch]), 1)
        return _viewed(value, [range(batch)]) if repeats == 1 else Kept(elements=repeats * prod(value.shape))
    return _viewed(
        value, [[*range(batch), batch + position]]
    )  # the rows, or the columns of the second factor


def _viewed(value: Value, groups: Iterable[Iterable[int]]) -> Kept:
    """A value of which each group of dimensions is viewed as one, or a copy if that is not possible."""
    if all(_is_one(value, list(group)) for group in groups):
        return Kept((value,))
    return Kept(elements=prod(value.shape))


def _is_one(value: Value, dims: list[int]) -> bool:
    """True if dimensions of a view, in this order, can be viewed as one."""
    if value.strides is None and dims == list(range(len(dims))):
        return True
    strides = value.strides or contiguous_strides(value.shape)
    sized = [(value.shape[i], strides[i]) for i in dims if any_true(value.shape[i] != 1)]
    return all(s == n_after * s_after for (_, s), (n_after, s_after) in pairwise(sized))


def einsum(op: Op, needs: Needs) -> Kept | None:
    """Of two operands, each that the gradient of the other needs; of more, the tensors between are unknown.

    PyTorch views them as batches of matrices, or else copies them.
    """
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    inputs, _, out = equation.partition("->")
    terms = inputs.split(",")
    if len(terms) > 2 or any(len(set(term)) < len(term) for term in terms):
        return None
    if len(terms) < 2:
        return Kept()
    common, kept = set(terms[0]).intersection(terms[1]), []
    groups = [[x for x in out if x in common], sorted(common.difference(out))]
    if not groups[1]:
        return others(op, needs)
    for term, value, other in zip(terms, op.operands, reversed(needs), strict=True):
        if not set(term) <= common.union(out):
            return None
        own = [x for x in out if x in term and x not in common]
        if other:
            kept.append(_viewed(value, [[term.index(x) for x in group] for group in (*groups, own)]))
    return _together(*kept)


ATTENTION = ("scaled_dot_product_attention",)
"""The operator that may keep its scores."""


def attention(op: Op, needs: Needs) -> Kept:
    """All operands, the output, and the logarithm of the sum of each row of scores, a float32.

    Attention that keeps its scores scales copies of queries and keys. It keeps these, the values and the
    probabilities; dropout keeps a mask and its result.
    """
    if not keeps_scores(op, needs):
        return Kept((*op.operands, *op.output), fixed_bytes=4 * prod(op.output[0].shape[:-1]))
    query, key, value = op.operands[:3]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    scaled = prod(query.shape) + prod(key.shape)
    kept = _viewed(value, [range(len(value.shape) - 2)])
    return _together(kept, Kept(elements=scaled + scores * (3 if op.attribute("dropout") else 1)))


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
    **dict.fromkeys(("conv", "deform_conv", "bilinear"), both),
    "linear": linear,
    "matmul": matmul,
    "einsum": einsum,
    "attention": attention,
    **dict.fromkeys(("batch_norm",), batch_norm),
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
    "hypot": all_and_result,
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
