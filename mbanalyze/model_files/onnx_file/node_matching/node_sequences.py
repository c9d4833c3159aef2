"""Matchers of attention, positions and recurrent layers."""

from __future__ import annotations

from math import prod

from onnx import helper

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    NodeMatcher,
    composite,
    elements,
    is_setting,
)
from mbanalyze.ops.record import Attribute

_SOFTCAP_FLOPS = 3
"""The flops of a soft cap per score: divide, tanh, multiply."""


def recurrent(kind: str) -> NodeMatcher:
    """Return a matcher for an LSTM, GRU or RNN of one layer, whose directions are the first dimension of its weights.

    The gates of both directions follow each other in one matrix, as if there was one direction of twice the width.
    """

    def rule(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
        states = tuple(s for s in node.present(4, 5, 6) if not is_setting(s))
        weights = [_flattened(weight, matrix=True) for weight in node.present(1, 2)]
        weights += [_flattened(bias, matrix=False) for bias in node.present(3)]
        # a peephole multiplies each unit by one number, and adds the product
        weights += [_flattened(peephole, matrix=None) for peephole in node.present(7)]
        attributes = {"states": len(states), "layers": 1}
        return NodeMatch(kind, (node.input(0), *states, *weights), attributes)

    return rule


def _flattened(weight: GraphTensor, *, matrix: bool | None) -> GraphTensor:
    """A weight without its dimension of directions: a matrix, a vector, or a matrix of one row if `matrix` is None."""
    columns = weight.shape[-1]
    size = prod(weight.shape)
    shape = (size // max(columns, 1), columns) if matrix else (size,) if matrix is False else (1, size)
    return weight.reshaped(helper.make_tensor_type_proto(weight.element_type, shape))


def attention(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match scaled dot-product attention, whose heads may be side by side, and whose earlier keys may be in a cache."""
    query, key = node.input(0), node.input(1)
    mask, past = node.present(3), node.present(4, 5)
    attributes: dict[str, Attribute] = {}
    if len(query.shape) == 3:
        attributes["heads"] = node.attributes["q_num_heads"]
    if past:
        attributes["keys"] = past[0].shape[-2] + key.shape[-2]
    softcap = _SOFTCAP_FLOPS if node.attribute("softcap", 0.0) else 0
    if past or softcap:
        attributes["added"] = len(mask) + softcap
    return NodeMatch("attention", (query, key, node.input(2), *mask, *past), attributes)


def rotary_embedding(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a rotation of pairs: each rotated element takes two multiplications and one addition."""
    data = node.input(0)
    size = data.shape[-1] // (node.attribute("num_heads", 1) if len(data.shape) == 3 else 1)
    rotated = node.attribute("rotary_embedding_dim", 0) or size
    return composite(node, 3 * elements(data) // max(size, 1) * rotated)
