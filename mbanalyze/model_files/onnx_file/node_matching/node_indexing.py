"""Matchers of slices, lookups, gathers, scatters and paddings."""

from __future__ import annotations

from dataclasses import replace

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, whole_numbers
from mbanalyze.ops.record import canonical_strides, contiguous_strides

_PADDINGS = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
"""Mode of a padding -> its name in PyTorch."""


def slice_(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match the copy of a slice; only its own elements are read."""
    data, part = node.input(0), outputs[0]
    steps = [1] * len(data.shape)
    given = whole_numbers(node, "", 4) or []
    axes = whole_numbers(node, "axes", 3) or range(len(given))
    for axis, step in zip(axes, given, strict=False):
        steps[axis] = abs(step)
    between = [stride * step for stride, step in zip(contiguous_strides(data.shape), steps, strict=True)]
    strides = canonical_strides(part.shape, between)
    return NodeMatch("copy", (replace(data, type=part.type, value=None, strides=strides),))


def gather(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a gather of slices. Rows of a constant matrix make it an embedding."""
    data, indices = node.input(0), node.input(1)
    table = data.is_constant and len(data.shape) == 2 and node.attribute("axis", 0) % 2 == 0
    single = indices.is_constant and not indices.shape
    return NodeMatch("embedding" if table else "gather", (data,) if single else (data, indices))


def pad(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a padding by a constant, or by the elements of the image."""
    mode = node.attribute("mode", "constant")
    return NodeMatch("pad", node.present(0), {"mode": _PADDINGS[mode]} if mode in _PADDINGS else {})


def scatter(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a scatter that overwrites or combines; every way to combine takes one operation per element."""
    combines = node.attribute("reduction", "none") != "none"
    return NodeMatch("scatter_add" if combines else "scatter", node.present(0, 1, 2))


def non_max_suppression(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the suppression of boxes in each image and class."""
    boxes, scores = node.input(0), node.input(1)
    sets, count = scores.shape[0] * scores.shape[1], scores.shape[2]
    return NodeMatch("non_maximum_suppression", (boxes, scores), {"sets": sets, "boxes": count})
