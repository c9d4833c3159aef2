"""Tensors of a graph: their shape, their memory, and their elements if they are few and known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np
from onnx import TensorProto, TypeProto, helper, numpy_helper

from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.ops.record import canonical_strides, contiguous_strides

Origin = Literal["input", "initializer", "constant", "computed"]
Declared = Literal["parameter", "buffer", "neither", "unknown"]
"""The kind of an initializer by the list of parameters and buffers that a file may have."""

Array = np.ndarray[Any, np.dtype[Any]]

MAX_KNOWN = 2**16
"""The most elements that are computed; shapes and indices have few."""

FLOATING = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
"""The element types whose size depends on the report's dtype: those that operators compute in."""

COMPLEX = frozenset({TensorProto.COMPLEX64, TensorProto.COMPLEX128})

PACKED = frozenset(
    getattr(TensorProto, name)
    for name in ("UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2")
    if hasattr(TensorProto, name)
)
"""The element types of less than a byte."""


class TensorMemory:
    """The memory of a tensor. Nodes that only reshape a tensor give another tensor with the same memory.

    Attributes:
        name: the name of the tensor that was first in it.
        origin: `input`, `initializer`, `constant` (depends on no input) or `computed`.
        declared: what the file says of an initializer: `parameter`, `buffer`, `neither` or `unknown`.
    """

    __slots__ = ("declared", "name", "origin")

    def __init__(self, name: str, origin: Origin, declared: Declared = "unknown") -> None:
        """Name the memory."""
        self.name = name
        self.origin = origin
        self.declared = declared


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """A tensor of a graph.

    Attributes:
        type: its element type and shape as ONNX describes them.
        memory: its memory.
        stored: the element type in memory: that of `type`, or that before a dequantisation.
        value: its elements, if they are few and known.
        strides: the elements between neighbours along each dimension; None if they are contiguous.
        items: the tensors of a sequence; None for a tensor.
    """

    type: TypeProto
    memory: TensorMemory
    stored: int
    value: Array | None = None
    strides: tuple[int, ...] | None = None
    items: tuple[GraphTensor, ...] | None = None

    @property
    def shape(self) -> Sizes:
        """Its sizes."""
        return tuple([dim.dim_value for dim in self.type.tensor_type.shape.dim])

    @property
    def element_type(self) -> int:
        """Its element type as a number of `TensorProto.DataType`."""
        return int(self.type.tensor_type.elem_type)

    @property
    def is_constant(self) -> bool:
        """True if it depends on no input."""
        return self.memory.origin in ("initializer", "constant")

    def reshaped(self, type: TypeProto) -> GraphTensor:
        """Return a tensor of another shape or type in the same memory."""
        value = self.value
        if value is not None:
            value = value.reshape([dim.dim_value for dim in type.tensor_type.shape.dim])
        return replace(self, type=type, value=value, strides=None)

    def permuted(self, order: Sequence[int]) -> GraphTensor:
        """Return a tensor with its dimensions in another order, in the same memory."""
        strides = self.strides or contiguous_strides(self.shape)
        shape = tuple([self.shape[place] for place in order])
        type = helper.make_tensor_type_proto(self.element_type, shape)
        value = None if self.value is None else self.value.transpose(order)
        found = canonical_strides(shape, [strides[place] for place in order])
        return replace(self, type=type, value=value, strides=found)

    def transposed(self) -> GraphTensor:
        """Return the transpose of a matrix, in the same memory."""
        return self.permuted((1, 0))


def known(value: Array, name: str) -> GraphTensor:
    """Return a constant with known elements."""
    element_type = helper.np_dtype_to_tensor_dtype(value.dtype)
    type = helper.make_tensor_type_proto(element_type, value.shape)
    return GraphTensor(type, TensorMemory(name, "constant"), element_type, value)


def typed(type: TypeProto, name: str, origin: Origin) -> GraphTensor:
    """Return a tensor with memory of its own, whose elements are unknown."""
    return GraphTensor(type, TensorMemory(name, origin), type.tensor_type.elem_type)


def input_tensor(type: TypeProto, name: str) -> GraphTensor:
    """Return an input of a graph."""
    return typed(type, name, "input")


def stored_tensor(proto: TensorProto, declared: Declared = "unknown") -> GraphTensor:
    """Return an initializer, with its elements if they are few and in the file itself.

    Raises:
        ModelFileError: its content does not fit its sizes or its type.
    """
    dims = list(proto.dims)
    if any(size < 0 for size in dims):
        raise ModelFileError(f"the initializer {proto.name!r} has a negative size: {dims}")
    if proto.data_type not in helper.get_all_tensor_dtypes() or proto.data_type == TensorProto.UNDEFINED:
        raise ModelFileError(f"the initializer {proto.name!r} has an unknown element type {proto.data_type}")
    _check_length(proto)
    value = None
    if not is_outside(proto) and proto.data_type != TensorProto.STRING and prod(dims) <= MAX_KNOWN:
        value = _elements(proto)
    type = helper.make_tensor_type_proto(proto.data_type, dims)
    return GraphTensor(type, TensorMemory(proto.name, "initializer", declared), proto.data_type, value)


def is_outside(proto: TensorProto) -> bool:
    """Return True if the elements of a tensor are not in the graph."""
    return bool(proto.data_location == TensorProto.EXTERNAL or proto.HasField("segment"))


def _check_length(proto: TensorProto) -> None:
    """Raise an error if the bytes of an initializer, where they are known, are not those of its elements."""
    if proto.HasField("segment") or proto.data_type == TensorProto.STRING:
        return
    outside = next((entry.value for entry in proto.external_data if entry.key == "length"), "")
    if is_outside(proto):
        found = int(outside) if outside.isdecimal() else None
    else:
        found = len(proto.raw_data) if proto.HasField("raw_data") else None
    bits = _BITS.get(proto.data_type) or 8 * int(helper.tensor_dtype_to_np_dtype(proto.data_type).itemsize)
    expected = -(-prod(proto.dims) * bits // 8)
    if found is not None and found != expected:
        raise ModelFileError(f"the initializer {proto.name!r} has {found:,} bytes instead of {expected:,}")


def _elements(proto: TensorProto) -> Array:
    try:
        return numpy_helper.to_array(proto)
    except Exception as error:
        raise ModelFileError(f"the initializer {proto.name!r} is damaged: {error}") from error


_BITS = {
    getattr(TensorProto, name): bits
    for name, bits in (("UINT4", 4), ("INT4", 4), ("FLOAT4E2M1", 4), ("UINT2", 2), ("INT2", 2))
    if hasattr(TensorProto, name)
}
"""The bits of the element types of less than a byte."""
