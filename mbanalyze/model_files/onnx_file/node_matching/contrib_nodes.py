"""Matchers of ONNX Runtime's own floating-point operators, most of which are several of ONNX in one."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from onnx import helper

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching import node_products
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, NodeMatcher, fixed_kind
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.record import canonical_strides, contiguous_strides

_DOMAIN = "com.microsoft::"

_ACTIVATIONS = {
    "Relu": "relu",
    "Clip": "clamp",
    "LeakyRelu": "leaky_relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
}
"""Activation of a convolution -> its kind."""


def fused_conv(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match a convolution with its activation, and with a tensor that is added before it."""
    kind = _ACTIVATIONS.get(node.attribute("activation", "Relu"))
    if kind is None:
        return _unknown(node)
    match = node_products.conv(node, outputs, places=(0, 1, 2, 3))
    # the formula has one addition, whether of a bias or of a tensor
    more = int(len(match.operands) == 4)
    return match._replace(attributes={**match.attributes, "activation": ELEMENTWISE[kind].flops + more})


def fused_matmul(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a product whose factors may be transposed, and which may be multiplied by a number."""
    return NodeMatch("matmul", factors(node), {"scales": 1} if node.attribute("alpha", 1.0) != 1 else {})


def factors(node: OnnxNode) -> tuple[GraphTensor, GraphTensor]:
    """Return the factors of a product in the order of its dimensions: batches, rows, columns.

    The rows may be before the batches, and columns before rows.
    """
    left, right = (_ordered(node, place, letter) for place, letter in ((0, "A"), (1, "B")))
    return left, right


def _ordered(node: OnnxNode, place: int, letter: str) -> GraphTensor:
    """A factor with its dimensions in order, in the same memory."""
    tensor = node.input(place)
    order = list(range(len(tensor.shape)))
    if node.attribute(f"transBatch{letter}", 0):
        order.insert(len(order) - 2, order.pop(0))
    if node.attribute(f"trans{letter}", 0):
        order.append(order.pop(-2))
    shape = [tensor.shape[dim] for dim in order]
    strides = tensor.strides or contiguous_strides(tensor.shape)
    ordered = canonical_strides(tuple(shape), [strides[dim] for dim in order])
    type = helper.make_tensor_type_proto(tensor.element_type, shape)
    return replace(tensor, type=type, value=None, strides=ordered)


def bias_gelu(kind: str) -> NodeMatcher:
    """Return a matcher for a GELU of a sum with a bias, which may be left out."""

    def rule(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
        operands = node.present(0, 1)
        if len(operands) == 1:
            return NodeMatch(kind, operands)
        return _composite(operands, 1 + ELEMENTWISE[kind].flops, outputs)

    return rule


def quick_gelu(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match `x * sigmoid(alpha * x)`."""
    scaled = node.attribute("alpha", 1.702) != 1
    return _composite(node.present(0), int(scaled) + ELEMENTWISE["silu"].flops, outputs)


def _composite(operands: tuple[GraphTensor, ...], flops: int, outputs: list[GraphTensor]) -> NodeMatch:
    """Match an operator of several steps, which take `flops` for each element."""
    return NodeMatch("composite", operands, {"flops": flops * prod(outputs[0].shape)})


def norm(kind: str, *, weights: tuple[int, ...], added: tuple[int, ...] = ()) -> NodeMatcher:
    """Return a matcher for a normalisation of the sum of the first input and those at `added`.

    A sum takes one flop per element as a scale does.
    """

    def rule(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
        others = (*(t for place in added for t in node.present(place)), *node.present(*weights))
        return NodeMatch(kind, (node.input(0), *others), {"affine": len(others)})

    return rule


def multi_head_attention(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match attention of separate queries, keys and values with their heads side by side, without a cache."""
    operands = node.present(0, 1, 2)
    ranks = [len(tensor.shape) for tensor in operands]
    if ranks != [3, 3, 3] or node.present(3) or len(node.present()) > len((*operands, *node.present(4, 5))):
        return _unknown(node)
    heads = {"heads": node.attributes["num_heads"]}
    return NodeMatch("attention", (*operands, *node.present(4), *node.present(5)), heads)


def _unknown(node: OnnxNode) -> NodeMatch:
    """Match a node whose work is unknown."""
    return NodeMatch(node.operator, node.present())


CONTRIB_NODES: dict[str, NodeMatcher] = {
    f"{_DOMAIN}FusedConv": fused_conv,
    f"{_DOMAIN}FusedMatMul": fused_matmul,
    f"{_DOMAIN}Gelu": fixed_kind("gelu", 0),
    f"{_DOMAIN}FastGelu": bias_gelu("gelu_tanh"),
    f"{_DOMAIN}BiasGelu": bias_gelu("gelu"),
    f"{_DOMAIN}QuickGelu": quick_gelu,
    f"{_DOMAIN}LayerNormalization": norm("layer_norm", weights=(1, 2)),
    f"{_DOMAIN}SkipLayerNormalization": norm("layer_norm", weights=(2, 3), added=(1, 4)),
    **dict.fromkeys(
        ("SimplifiedLayerNormalization", f"{_DOMAIN}SimplifiedLayerNormalization"),
        norm("rms_norm", weights=(1,)),
    ),
    f"{_DOMAIN}SkipSimplifiedLayerNormalization": norm("rms_norm", weights=(2,), added=(1, 3)),
    f"{_DOMAIN}MultiHeadAttention": multi_head_attention,
}
"""Operator -> its matcher."""

CONTRIB_PARAMETERS: dict[str, tuple[int, ...]] = {
    f"{_DOMAIN}FusedConv": (1, 2),
    f"{_DOMAIN}FusedMatMul": (0, 1),
    f"{_DOMAIN}Attention": (1, 2),
    **dict.fromkeys((f"{_DOMAIN}FastGelu", f"{_DOMAIN}BiasGelu"), (1,)),
    f"{_DOMAIN}LayerNormalization": (1, 2),
    f"{_DOMAIN}SkipLayerNormalization": (2, 3, 4),
    **dict.fromkeys(("SimplifiedLayerNormalization", f"{_DOMAIN}SimplifiedLayerNormalization"), (1,)),
    f"{_DOMAIN}SkipSimplifiedLayerNormalization": (2, 3),
}
"""Operator -> the inputs that hold learned numbers if they are initializers."""
