"""Constants that nodes store again: in a quantised or another type, or in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto, TypeProto, helper

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, typed
from mbanalyze.model_files.onnx_file.node import OnnxNode

_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_MOVES = ("Transpose", "Slice", "Concat", "Split", "Expand", "Gather", "Pad", "Tile")
"""The operators that move elements, whatever type these have."""

STORED_AGAIN = frozenset({"Transpose", "Cast"})
"""The operators whose output, for an initializer, is the same numbers in another order or type."""


def is_quantised_constant(node: OnnxNode) -> bool:
    """Return True for a node that quantises a constant, or the reverse: the file stores it in the quantised type."""
    return node.proto.op_type in _QUANTISERS and node.input(0).is_constant


def quantised_constant(node: OnnxNode, type: TypeProto) -> GraphTensor:
    """Return the constant of such a node, in the memory of the one that it reads, in the quantised type."""
    data = node.input(0)
    quantises = node.proto.op_type == "QuantizeLinear"
    stored = type.tensor_type.elem_type if quantises else data.stored
    return replace(data, type=type, stored=stored, value=None)


def _stored_again(node: OnnxNode, type: TypeProto) -> GraphTensor:
    """Return an initializer in another order of its dimensions, or in another type, in the memory that it has."""
    data = node.input(0)
    if node.operator == "Transpose":
        return data.permuted(node.attribute("perm", range(len(data.shape))[::-1]))
    to, value = type.tensor_type.elem_type, data.value
    if value is not None:
        with np.errstate(all="ignore"):
            value = value.astype(helper.tensor_dtype_to_np_dtype(to)) if to != TensorProto.STRING else None
    return replace(data, type=type, stored=to, value=value)


def constant_outputs(node: OnnxNode, types: Sequence[TypeProto], names: Sequence[str]) -> list[GraphTensor]:
    """Return the outputs of a node that reads only constants; moved elements keep the type in memory."""
    if node.operator in STORED_AGAIN and node.input(0).memory.origin == "initializer":
        return [_stored_again(node, types[0])]
    found = [typed(type, name, "constant") for type, name in zip(types, names, strict=True)]
    data = next(iter(node.present()), None)
    moves = data is not None and node.operator in _MOVES and data.stored != data.element_type
    return [replace(tensor, stored=data.stored) for tensor in found] if data and moves else found
