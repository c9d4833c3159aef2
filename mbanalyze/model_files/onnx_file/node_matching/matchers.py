"""The matcher of each operator."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import Node
from mbanalyze.model_files.onnx_file.node_matching.contrib_nodes import CONTRIB_NODES
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, NodeMatcher, fixed_kind
from mbanalyze.model_files.onnx_file.node_matching.node_products import conv, gemm, matmul
from mbanalyze.model_files.onnx_file.node_matching.quantised_nodes import QUANTISED_NODES

MATCHERS: dict[str, NodeMatcher] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "Relu": fixed_kind("relu"),
    "Add": fixed_kind("add"),
    **QUANTISED_NODES,
    **CONTRIB_NODES,
}
"""Operator -> its matcher."""


def match_node(node: Node, outputs: list[GraphTensor]) -> NodeMatch | None:
    """Return what a node does, None if it does no work; an operator without a matcher is unknown."""
    matcher = MATCHERS.get(node.operator)
    if matcher is None:
        return NodeMatch(node.operator if "::" in node.operator else f"onnx::{node.operator}", node.present())
    return matcher(node, outputs)
