"""The tensors that matrix products and attention keep: their factors, or copies if a factor cannot be viewed as a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import prod

from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.record import Op, Value, contiguous_strides
from mbanalyze.training_cost.gradients import Needs
from mbanalyze.training_cost.kept import Kept, others, together
from mbanalyze.training_cost.product_gradients import keeps_scores


def linear(op: Op, needs: Needs) -> Kept:
    """The input for the gradient of the weight, and the weight for that of the input.

    An input that cannot be viewed as a matrix is copied.
    """
    data, weight = op.operands[:2]
    kept = Kept((weight,)) if needs[0] else Kept()
    return together(kept, _viewed(data, [range(len(data.shape) - 1)])) if needs[1] else kept


def matmul(op: Op, needs: Needs) -> Kept:
    """Each factor that the gradient of the other needs.

    A batch that cannot be viewed with one dimension is copied, as is one that is broadcast.
    """
    kept = [_factor(op, i) for i in (0, 1) if needs[1 - i]]
    return together(*kept)


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
    return together(*kept)


ATTENTION = ("scaled_dot_product_attention",)
"""The operator that may keep its scores."""


def attention(op: Op, needs: Needs) -> Kept:
    """All operands, the output, and the logarithm of the sum of each row of scores, a float32.

    Attention that keeps its scores is made of products and a softmax, each of which keeps its own.
    Dropout keeps a mask and its result.
    """
    if not keeps_scores(op, needs):
        return Kept((*op.operands, *op.output), fixed_bytes=4 * prod(op.output[0].shape[:-1]))
    query, key, value = op.operands[:3]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    through = any(needs[:2] + needs[3:])  # a gradient of the scores is needed
    tensors = through * (1 + bool(op.attribute("dropout"))) + needs[2] * bool(op.attribute("dropout"))
    scaled = needs[1] * prod(query.shape) + needs[0] * prod(key.shape)
    own = Kept(elements=scaled + scores * max(tensors, 1))
    return together(own, _viewed(value, [range(len(value.shape) - 2)])) if through else own
