"""Constants in a quantised type, and nodes that move their elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx import TypeProto

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, typed
from mbanalyze.model_files.onnx_file.node import OnnxNode

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_MOVES = ("Transpose", "Slice", "Concat", "Split", "Expand", "Gather", "Pad", "Tile")
"""The operators that move elements, whatever type these have."""


def is_quantised_constant(node: OnnxNode) -> bool:
    """Return True for a node that quantises a constant, or the reverse: the file stores it in the quantised type."""
    return node.proto.op_type in _QUANTISERS and node.input(0).is_constant


def quantised_constant(node: OnnxNode, type: TypeProto) -> GraphTensor:
    """Return the constant of such a node, in the memory of the one that it reads, in the quantised type."""
    data = node.input(0)
    quantises = node.proto.op_type == "QuantizeLinear"
    stored = type.tensor_type.elem_type if quantises else data.stored
    return replace(data, type=type, stored=stored, value=None)


def constant_outputs(node: OnnxNode, types: Sequence[TypeProto], names: Sequence[str]) -> list[GraphTensor]:
    """Return the outputs of a node that reads only constants; moved elements keep the type in memory."""
    data = node.present()[0]
    moves = node.operator in _MOVES and data.stored != data.element_type
    found = [typed(type, name, "constant") for type, name in zip(types, names, strict=True)]
    return [replace(tensor, stored=data.stored) for tensor in found] if moves else found
