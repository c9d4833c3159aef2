"""The types and shapes of a node's outputs, by ONNX's own inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import OperatorSetIdProto, TypeProto, defs, numpy_helper, shape_inference

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.contrib_types import contrib_types
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.inference_limits import check_inference
from mbanalyze.model_files.onnx_file.node import OnnxNode

_LIKE_THEIR_INPUT = frozenset({"GroupNormalization", "MeanVarianceNormalization"})
"""The operators with one output, of the type of their first input, that ONNX's inference does not know."""


def output_types(
    node: OnnxNode, imports: Sequence[OperatorSetIdProto], described: Mapping[str, TypeProto]
) -> list[TypeProto]:
    """Return the type of each output of a node, in order.

    Args:
        node: the node, with the shapes that it reads.
        imports: the operator sets of the graph.
        described: the types that the file itself gives, for operators that ONNX does not define.

    Raises:
        ModelFileError: a shape is unknown, or the inputs do not fit the operator.
    """
    proto = node.proto
    is_known = defs.has(proto.op_type, node.version, node.domain)
    inferred = _inferred(node, imports) if is_known else contrib_types(node, _inferred)
    if node.operator in _LIKE_THEIR_INPUT:
        inferred = {proto.output[0]: node.input(0).type}
    types = []
    for name in proto.output:
        if not name:
            continue
        type = next(
            (t for t in (inferred.get(name), described.get(name)) if t is not None and has_shape(t)), None
        )
        if type is None:
            raise ModelFileError(
                f"the shape that {node.label} writes is unknown: run onnx.shape_inference on the file, "
                "or replace the node"
            )
        types.append(type)
    return types


def _inferred(node: OnnxNode, imports: Sequence[OperatorSetIdProto]) -> Mapping[str, TypeProto]:
    """The types that ONNX infers for the outputs of a node, by name."""
    check_inference(node)
    proto = node.proto
    given: dict[str, GraphTensor] = {
        name: tensor for name, tensor in zip(proto.input, node.inputs, strict=False) if tensor is not None
    }
    data = {
        name: numpy_helper.from_array(tensor.value, name)
        for name, tensor in given.items()
        if tensor.value is not None
    }
    schema = defs.get_schema(proto.op_type, node.version, node.domain)
    types = {name: tensor.type for name, tensor in given.items()}
    try:
        found: Mapping[str, TypeProto] = shape_inference.infer_node_outputs(
            schema, proto, types, data, {}, opset_imports=list(imports)
        )
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ModelFileError(
            f"{node.label} does not fit its inputs: {reason[-1] if reason else error}"
        ) from error
    return found


def has_shape(type: TypeProto) -> bool:
    """Return True if a type is that of a tensor whose sizes are all known."""
    if not type.HasField("tensor_type") or not type.tensor_type.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in type.tensor_type.shape.dim)
