"""Matchers of loss functions."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, composite, elements
from mbanalyze.ops.sequence_formulas import SOFTMAX_FLOPS


def nll_loss(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the negative log-likelihood of targets."""
    return NodeMatch("nll_loss", node.present(), {"reduction": node.attribute("reduction", "mean")}, 1)


def cross_entropy(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a softmax and the negative log-likelihood of targets.

    A target takes one flop (negate) and one for its weight. A mean takes one more, and one for the sum of the weights.
    """
    targets, weighted = elements(node.input(1)), int(node.optional(2) is not None)
    reduction = node.attribute("reduction", "mean")
    reduced = {"mean": targets * (1 + weighted), "sum": max(targets - 1, 0)}.get(reduction, 0)
    flops = SOFTMAX_FLOPS * elements(node.input(0)) + targets * (1 + weighted) + reduced
    return composite(node, flops)
