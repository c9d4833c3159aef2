"""Matchers of nodes that read or write quantised tensors, whose scales and zero points are settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnx import TensorProto, helper

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching import node_products
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, NodeMatcher, fixed_kind

_DOMAIN = "com.microsoft::"


def at(matcher: NodeMatcher, *places: int) -> NodeMatcher:
    """Return a matcher that gives another one the inputs at `places` alone, in this order."""

    def rule(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch | None:
        inputs = tuple(node.optional(place) for place in places)
        return matcher(replace(node, inputs=inputs), outputs)

    return rule


def concatenation(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a concatenation of tensors that each have a scale and a zero point."""
    return NodeMatch("cat", node.present(*range(2, len(node.inputs), 3)))


def avg_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the mean of each window. One window of the size of the image is global pooling."""
    image = node.input(0)
    sizes = image.shape[1:-1] if node.attribute("channels_last", 0) else image.shape[2:]
    kernel = tuple(node.attributes["kernel_shape"])
    if kernel == sizes and not any(node.attribute("pads", ())):
        return NodeMatch("global_avg_pool", (image,))
    return NodeMatch("avg_pool", (image,), _window(node))


def max_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the maximum of each window."""
    return NodeMatch("max_pool", node.present(0), _window(node))


def _window(node: OnnxNode) -> dict[str, tuple[int, ...]]:
    """The size of the windows and the step between them."""
    kernel = tuple(node.attributes["kernel_shape"])
    return {"kernel": kernel, "stride": tuple(node.attribute("strides", (1,) * len(kernel)))}


def channels_first(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch | None:
    """Match a convolution, unless its image has the channels last."""
    if node.attribute("channels_last", 0):
        return NodeMatch(node.operator, node.present())
    return at(node_products.conv, 0, 3, 8)(node, outputs)


def matmul_with_bias(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match a matrix product and the vector that is added to it."""
    match = node_products.matmul(node, outputs)
    return match._replace(operands=(*match.operands, *node.present(2)))


def packed_matmul(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a linear layer whose weight has several elements in a byte."""
    bits = node.attribute("bits", 4)
    stored = {2: getattr(TensorProto, "UINT2", TensorProto.UINT4), 4: TensorProto.UINT4}
    shape = node.attributes["N"], node.input(0).shape[-1]
    type = helper.make_tensor_type_proto(stored.get(bits, TensorProto.UINT8), shape)
    weight = replace(node.input(1), type=type, stored=type.tensor_type.elem_type, value=None)
    return NodeMatch("linear", (node.input(0), weight, *node.present(5)))


_CONVS: dict[str, NodeMatcher] = {
    "QLinearConv": at(node_products.conv, 0, 3, 8),
    "ConvInteger": at(node_products.conv, 0, 1),
    f"{_DOMAIN}QLinearConv": channels_first,
}

_MATRICES: dict[str, NodeMatcher] = {
    "QLinearMatMul": at(node_products.matmul, 0, 3),
    "MatMulInteger": at(node_products.matmul, 0, 1),
    f"{_DOMAIN}QGemm": at(node_products.gemm, 0, 3, 6),
    f"{_DOMAIN}MatMulIntegerToFloat": at(matmul_with_bias, 0, 1, 6),
    f"{_DOMAIN}DynamicQuantizeMatMul": at(matmul_with_bias, 0, 1, 4),
    f"{_DOMAIN}MatMulNBits": packed_matmul,
}

_OTHERS: dict[str, NodeMatcher] = {
    **dict.fromkeys(("QuantizeLinear", f"{_DOMAIN}QuantizeLinear"), fixed_kind("quantize", 0)),
    **dict.fromkeys(("DequantizeLinear", f"{_DOMAIN}DequantizeLinear"), fixed_kind("dequantize", 0)),
    "DynamicQuantizeLinear": fixed_kind("quantize_dynamically", 0),
    f"{_DOMAIN}QLinearAdd": at(fixed_kind("add"), 0, 3),
    f"{_DOMAIN}QLinearMul": at(fixed_kind("mul"), 0, 3),
    f"{_DOMAIN}QLinearSigmoid": fixed_kind("sigmoid", 0),
    f"{_DOMAIN}QLinearLeakyRelu": fixed_kind("leaky_relu", 0),
    f"{_DOMAIN}QLinearSoftmax": fixed_kind("softmax", 0),
    f"{_DOMAIN}QLinearReduceMean": fixed_kind("mean", 0),
    f"{_DOMAIN}QLinearGlobalAveragePool": fixed_kind("global_avg_pool", 0),
    f"{_DOMAIN}QLinearAveragePool": avg_pool,
    f"{_DOMAIN}QLinearConcat": concatenation,
    f"{_DOMAIN}QLinearWhere": fixed_kind("where", 0, 1, 4),
    f"{_DOMAIN}NhwcMaxPool": max_pool,
}

QUANTISED_NODES: dict[str, NodeMatcher] = {**_CONVS, **_MATRICES, **_OTHERS}
"""Operator -> its matcher."""

QUANTISED_PARAMETERS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("QLinearConv", f"{_DOMAIN}QLinearConv"), (3, 8)),
    "ConvInteger": (1,),
    "QLinearMatMul": (0, 3),
    "MatMulInteger": (0, 1),
    f"{_DOMAIN}QGemm": (0, 3, 6),
    f"{_DOMAIN}MatMulIntegerToFloat": (0, 1, 6),
    f"{_DOMAIN}DynamicQuantizeMatMul": (1, 4),
    f"{_DOMAIN}MatMulNBits": (1, 5),
    **dict.fromkeys((f"{_DOMAIN}QLinearAdd", f"{_DOMAIN}QLinearMul"), (0, 3)),
    f"{_DOMAIN}QLinearConcat": tuple(range(2, 32, 3)),
}
"""Operator -> the inputs that hold learned numbers if they are initializers."""
