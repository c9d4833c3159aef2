"""Matchers of reductions, sorts, and operators that work along a dimension."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    NodeMatcher,
    composite,
    elements,
    whole_numbers,
)


def reduce_mean(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a mean. Over every pixel of an image it is global pooling."""
    image = node.input(0)
    dims = len(image.shape)
    axes = sorted(axis % max(dims, 1) for axis in whole_numbers(node, "axes", 1) or ())
    whole_image = dims in (4, 5) and axes == list(range(2, dims))
    return _unless_without_axes(node, "global_avg_pool" if whole_image else "mean")


def reduction(kind: str) -> NodeMatcher:
    """Return a matcher for a reduction of `kind`."""
    return lambda node, _: _unless_without_axes(node, kind)


def _unless_without_axes(node: OnnxNode, kind: str) -> NodeMatch:
    """The match of a reduction; an empty list of axes may mean that nothing is reduced."""
    nothing = node.attribute("noop_with_empty_axes", 0) and not whole_numbers(node, "axes", 1)
    return NodeMatch("copy" if nothing else kind, node.present(0))


def log_of_sum(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the logarithm of a sum: `a - 1` additions and a logarithm for `a` elements."""
    data = node.input(0)
    return composite(node, elements(data))._replace(operands=(data,))


def top_k(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the largest or smallest elements along a dimension."""
    values = node.input(0)
    return NodeMatch("sort", (values,), {"length": values.shape[node.attribute("axis", -1)]})


def unique(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match distinct elements, or slices along a dimension."""
    values, axis = node.input(0), node.attribute("axis")
    items = elements(values) if axis is None else values.shape[axis]
    return NodeMatch("unique", (values,), {"items": items, "sorted": True})


def hard_max(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match a comparison of each element with the largest of its row, then one with the position of that."""
    return composite(node, 2 * elements(outputs[0]))


def multinomial(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match draws with replacement from rows of probabilities."""
    attributes = {"draws": node.attribute("sample_size", 1), "replacement": True}
    return NodeMatch("multinomial", node.present(0), attributes)
