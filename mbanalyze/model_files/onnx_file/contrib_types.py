"""The shapes that ONNX Runtime's own operators write, which ONNX does not define."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from onnx import NodeProto, OperatorSetIdProto, TensorProto, TypeProto, defs, helper

from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, typed
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.contrib_nodes import factors

Inference = Callable[[OnnxNode, Sequence[OperatorSetIdProto]], Mapping[str, TypeProto]]
"""ONNX's own inference: a node of ONNX and its operator sets -> the types of its outputs, by name."""

_VERSION = 17
"""The version of ONNX whose operators are compared with."""

_DOMAINS = ("com.microsoft", "", "ai.onnx")
"""The domains of these operators; some files name operators of ONNX Runtime without a domain."""


def contrib_types(node: OnnxNode, infer: Inference) -> Mapping[str, TypeProto]:
    """Return the types that an operator of ONNX Runtime writes, by name; empty for an unknown operator."""
    name = node.proto.op_type
    if node.proto.domain not in _DOMAINS or name not in _RULES:
        return {}
    shapes = _RULES[name](node, infer)
    element_type = _element_type(node)
    return {
        output: helper.make_tensor_type_proto(element_type, shape)
        for output, shape in zip(node.proto.output, shapes, strict=False)
        if output
    }


def _element_type(node: OnnxNode) -> int:
    """The element type of the outputs."""
    name = node.proto.op_type
    if name == "QuantizeLinear":
        return _type_of(node, 2, TensorProto.UINT8)
    if name == "QGemm":
        return _type_of(node, 8, TensorProto.FLOAT)
    return node.input(_TYPED_LIKE.get(name, 0)).element_type


_TYPED_LIKE = {"DequantizeLinear": 1, "MatMulIntegerToFloat": 2, "QLinearConcat": 2, "QLinearWhere": 1}
"""Operator -> the input that has the type of its output, if that is not the first."""


def _type_of(node: OnnxNode, place: int, default: int) -> int:
    tensor = node.optional(place)
    return default if tensor is None else tensor.element_type


Rule = Callable[[OnnxNode, Inference], Sequence[Sizes]]
"""A function from a node to the shapes of its first outputs."""


def _same(node: OnnxNode, _: Inference) -> Sequence[Sizes]:
    """The shape of the first input."""
    return [node.input(0).shape]


def _like(operator: str, *places: int) -> Rule:
    """Return the rule of an operator of ONNX that reads the inputs at `places`."""

    def rule(node: OnnxNode, infer: Inference) -> Sequence[Sizes]:
        last = bool(node.attribute("channels_last", 0))
        inputs = node.present(*places)
        if last:
            inputs = (_moved(inputs[0], -1, 1), *inputs[1:])
        (shape,) = _inferred(operator, node, inputs, infer)
        return [(shape[0], *shape[2:], shape[1])] if last else [shape]

    return rule


def _inferred(
    operator: str, node: OnnxNode, inputs: Sequence[GraphTensor], infer: Inference
) -> Sequence[Sizes]:
    """The shape that an operator of ONNX writes, with those attributes of a node that it has too."""
    taken = defs.get_schema(operator, _VERSION).attributes
    proto = NodeProto(op_type=operator, name=node.proto.name, output=["output"])
    proto.input.extend(f"input {place}" for place in range(len(inputs)))
    proto.attribute.extend(each for each in node.proto.attribute if each.name in taken)
    floats = tuple(_float(tensor) for tensor in inputs)
    imports = [helper.make_opsetid("", _VERSION)]
    return [_sizes(infer(OnnxNode(proto, floats, node.attributes, _VERSION), imports)["output"])]


def _sizes(type: TypeProto) -> Sizes:
    return tuple(dim.dim_value for dim in type.tensor_type.shape.dim)


def _float(tensor: GraphTensor) -> GraphTensor:
    """A tensor of floating-point numbers of the same shape."""
    return typed(helper.make_tensor_type_proto(TensorProto.FLOAT, tensor.shape), "", "computed")


def _moved(tensor: GraphTensor, source: int, target: int) -> GraphTensor:
    """A tensor with one dimension at another place."""
    shape = list(tensor.shape)
    shape.insert(target, shape.pop(source))
    return replace(_float(tensor), type=helper.make_tensor_type_proto(TensorProto.FLOAT, shape))


def _concatenated(node: OnnxNode, infer: Inference) -> Sequence[Sizes]:
    """The shape of tensors that each have a scale and a zero point, side by side."""
    return _inferred("Concat", node, node.present(*range(2, len(node.inputs), 3)), infer)


def _nhwc_pool(node: OnnxNode, infer: Inference) -> Sequence[Sizes]:
    """The shape of a pooled image whose channels are last."""
    (shape,) = _inferred("MaxPool", node, [_moved(node.input(0), -1, 1)], infer)
    return [(shape[0], *shape[2:], shape[1])]


def _fused_matmul(node: OnnxNode, infer: Inference) -> Sequence[Sizes]:
    """The shape of a product whose factors may be transposed."""
    return _inferred("MatMul", node, factors(node), infer)


def _packed_matmul(node: OnnxNode, _: Inference) -> Sequence[Sizes]:
    """The shape of a product with a weight of several elements in a byte."""
    return [(*node.input(0).shape[:-1], node.attributes["N"])]


def _skip_norm(node: OnnxNode, _: Inference) -> Sequence[Sizes]:
    """The shapes of a normalised sum, of its statistics, and of the sum."""
    shape = node.input(0).shape
    return [shape, (*shape[:-1], 1), (*shape[:-1], 1), shape]


def _attention(node: OnnxNode, _: Inference) -> Sequence[Sizes]:
    """The shape of attention whose queries, keys and values are products of one weight."""
    sizes = node.attribute("qkv_hidden_sizes")
    return [(*node.input(0).shape[:-1], sizes[-1] if sizes else node.input(1).shape[-1] // 3)]


def _multi_head_attention(node: OnnxNode, _: Inference) -> Sequence[Sizes]:
    """The shape of attention of separate queries, keys and values with their heads side by side."""
    query, *values = node.present(0, 2)
    return [(*query.shape[:-1], values[0].shape[-1])] if values else []


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "QLinearSigmoid", "QLinearLeakyRelu"), _same),
    **dict.fromkeys(("QLinearSoftmax", "Gelu", "FastGelu", "BiasGelu", "QuickGelu"), _same),
    **dict.fromkeys(("LayerNormalization", "SimplifiedLayerNormalization"), _skip_norm),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _skip_norm),
    "QLinearAdd": _like("Add", 0, 3),
    "QLinearMul": _like("Mul", 0, 3),
    "QLinearWhere": _like("Add", 0, 1, 4),
    "QLinearConcat": _concatenated,
    "QLinearGlobalAveragePool": _like("GlobalAveragePool", 0),
    "QLinearAveragePool": _like("AveragePool", 0),
    "QLinearReduceMean": _like("ReduceMean", 0),
    "QLinearConv": _like("Conv", 0, 3),
    "QGemm": _like("Gemm", 0, 3),
    "MatMulIntegerToFloat": _like("MatMul", 0, 1),
    "DynamicQuantizeMatMul": _like("MatMul", 0, 1),
    "MatMulNBits": _packed_matmul,
    "NhwcMaxPool": _nhwc_pool,
    "FusedConv": _like("Conv", 0, 1),
    "FusedMatMul": _fused_matmul,
    "Attention": _attention,
    "MultiHeadAttention": _multi_head_attention,
}
"""Operator -> the rule of its shapes."""
