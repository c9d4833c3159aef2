"""Nodes whose inputs are known: shapes, indices and small constants, computed at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import OperatorSetIdProto, TensorProto, TypeProto, helper
from onnx.reference import ReferenceEvaluator

from mbanalyze.model_files.onnx_file.graph_tensors import MAX_KNOWN, Array, GraphTensor, is_outside, known
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.output_types import output_types

_SIZES = ("Shape", "Size")
_COMPUTED = frozenset(
    {
        *("Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "CastLike", "Ceil", "Clip", "Compress", "Concat"),
        *("Constant", "ConstantOfShape", "CumSum", "Div", "Equal", "Exp", "Expand", "EyeLike", "Flatten"),
        *("Floor", "Gather", "GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Identity", "Less"),
        *("LessOrEqual", "Log", "Max", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pad", "Pow"),
        *(
            "Range",
            "Reciprocal",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSum",
            "Reshape",
        ),
        *("Round", "ScatterElements", "ScatterND", "Sign", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Sum"),
        *("Tile", "TopK", "Transpose", "Trilu", "Unique", "Unsqueeze", "Where", "Xor"),
    }
)
"""The operators that are computed: the arithmetic of shapes and indices, in time and memory of its inputs and outputs."""

_BOUNDED = ("Compress", "NonZero", "Unique")
"""The operators whose output is unknown without the elements, and at most a few times larger than the inputs."""


def known_outputs(node: OnnxNode, imports: Sequence[OperatorSetIdProto]) -> list[GraphTensor] | None:
    """Return the outputs of a node whose elements are known, or None if they are not."""
    if node.operator in _SIZES:
        shape = node.input(0).shape
        return [known(_sizes(node, shape), node.proto.output[0])]
    tensors = node.present()
    if node.operator not in _COMPUTED or any(tensor.value is None for tensor in tensors):
        return None
    if any(isinstance(value, TensorProto) and is_outside(value) for value in node.attributes.values()):
        return None
    if node.operator not in _BOUNDED:
        types = output_types(node, imports, {})
        if sum(prod(dim.dim_value for dim in type.tensor_type.shape.dim) for type in types) > MAX_KNOWN:
            return None
    names = [name for name in node.proto.output if name]
    values = _evaluated(node, names, imports)
    if values is None:
        return None
    return [known(value, name) for value, name in zip(values, names, strict=True)]


def _sizes(node: OnnxNode, shape: Sequence[int]) -> Array:
    if node.operator == "Size":
        return np.array(prod(shape), np.int64)
    return np.array(shape[node.attribute("start", 0) : node.attribute("end", len(shape))], np.int64)


def _evaluated(
    node: OnnxNode, names: Sequence[str], imports: Sequence[OperatorSetIdProto]
) -> list[Array] | None:
    """The outputs that ONNX's reference implementation computes; None if it fails."""
    given = {name: tensor for name, tensor in zip(node.proto.input, node.inputs, strict=False) if tensor}
    graph = helper.make_graph(
        [node.proto],
        "node",
        [helper.make_value_info(name, tensor.type) for name, tensor in given.items()],
        [helper.make_value_info(name, TypeProto()) for name in names],
    )
    model = helper.make_model(graph, opset_imports=list(imports))
    try:
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(
                None, {name: tensor.value for name, tensor in given.items()}
            )
    except Exception:
        return None
    values = [np.asarray(value) for value in found]
    return values if all(value.size <= MAX_KNOWN for value in values) else None
