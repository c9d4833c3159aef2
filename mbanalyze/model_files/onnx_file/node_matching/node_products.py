"""Matchers of convolutions, matrix products and Einstein sums, quantised ones included."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch
from mbanalyze.ops.einsum import full_equation
from mbanalyze.ops.elementwise import ELEMENTWISE


def conv(
    node: OnnxNode, _: list[GraphTensor], *, places: tuple[int, ...] = (0, 1, 2), transposed: bool = False
) -> NodeMatch:
    """Match a convolution; `places` are the inputs that hold the image, the weight and the bias."""
    operands = node.present(*places)
    dims = len(operands[1].shape) - 2
    ones = [1] * dims
    steps = {
        "stride": tuple(node.attribute("strides", ones)),
        "dilation": tuple(node.attribute("dilations", ones)),
    }
    return NodeMatch("conv", operands, {**steps, "transposed": True} if transposed else steps)


def causal_conv(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a depthwise convolution of earlier positions, which may end with a SiLU."""
    silu = node.attribute("activation", "none") in ("silu", "swish")
    fused = {"activation": ELEMENTWISE["silu"].flops} if silu else {}
    return NodeMatch("conv", node.present(0, 1, 2), {"stride": (1,), "dilation": (1,), **fused}, 1)


def deform_conv(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a deformable convolution; the bias and the mask may be left out."""
    operands = node.present(0, 1, 2, 4, 3)
    used = {"bias": int(node.optional(3) is not None), "mask": int(node.optional(4) is not None)}
    return NodeMatch("deform_conv", operands, used)


def gemm(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match `alpha * A @ B + beta * C`. A constant matrix on the right and a vector make it a linear layer."""
    left, right, *added = node.present()
    if node.attribute("beta", 1.0) == 0:
        added = []
    scales = (node.attribute("alpha", 1.0) != 1) + bool(added and node.attribute("beta", 1.0) != 1)
    is_vector = not added or (len(added[0].shape) == 1 and added[0].shape[0] == outputs[0].shape[-1])
    if right.is_constant and is_vector and not scales and not node.attribute("transA", 0):
        weight = right if node.attribute("transB", 0) else right.transposed()
        return NodeMatch("linear", (left, weight, *added))
    if node.attribute("transA", 0):
        left = left.transposed()
    if node.attribute("transB", 0):
        right = right.transposed()
    return NodeMatch("matmul", (left, right, *added), {"scales": scales} if scales else {})


def matmul(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a matrix product. A constant matrix on the right makes it a linear layer."""
    left, right = node.input(0), node.input(1)
    if right.is_constant and len(right.shape) == 2 and len(left.shape) > 1:
        return NodeMatch("linear", (left, right.transposed()))
    return NodeMatch("matmul", (left, right))


def einsum(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match an Einstein sum, with its equation in full."""
    operands = node.present()
    equation = full_equation(node.attribute("equation", ""), [len(operand.shape) for operand in operands])
    return NodeMatch("einsum", operands, {"equation": equation})
