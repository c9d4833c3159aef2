"""Matchers of activations and arithmetic that work element by element."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    NodeMatcher,
    composite,
    elements,
    setting,
    tensors_of,
)
from mbanalyze.ops.elementwise import ELEMENTWISE


def clip(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a clamp. Bounds of 0 and 6 make it a ReLU6."""
    bounds = setting(node, "min", 1), setting(node, "max", 2)
    return NodeMatch("relu6" if bounds == ([0.0], [6.0]) else "clamp", tensors_of(node))


def gelu(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a GELU: exact, or approximated by tanh."""
    exact = node.attribute("approximate", "none") == "none"
    return NodeMatch("gelu" if exact else "gelu_tanh", node.present(0))


def shrink(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a shrinkage, which is hard if it moves no element that it keeps."""
    return NodeMatch("soft_shrink" if node.attribute("bias", 0.0) else "hard_shrink", node.present(0))


def swish(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match `x * sigmoid(alpha * x)`, which is a SiLU if `alpha` is 1."""
    if node.attribute("alpha", 1.0) == 1:
        return NodeMatch("silu", node.present(0))
    return composite(node, (1 + ELEMENTWISE["silu"].flops) * elements(outputs[0]))


def gated_swish(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match the product of a Swish of the first tensor and the second tensor."""
    flops = ELEMENTWISE["silu"].flops + 1 + (node.attribute("alpha", 1.0) != 1)
    return composite(node, flops * elements(outputs[0]))


def of_many(kind: str, *, mean: bool = False) -> NodeMatcher:
    """Return a matcher for a sum, mean, maximum or minimum of any number of tensors; `kind` is that of two."""

    def rule(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
        count = len(node.present())
        if count == 1:
            return NodeMatch("copy", node.present())
        if count == 2 and not mean:
            return NodeMatch(kind, tensors_of(node))
        return composite(node, (count - 1 + mean) * elements(outputs[0]))

    return rule
