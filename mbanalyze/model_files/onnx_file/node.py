"""A node with its attributes and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnx import AttributeProto, NodeProto, helper

from mbanalyze.model_files.onnx_file.graph_tensors import Array, GraphTensor


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """A node of a graph, with the tensors that it reads.

    Attributes:
        proto: the node in the file, with the attributes that it takes from the call of a function that it is in.
        inputs: the tensors that it reads, None for an optional one that is left out.
        attributes: its attributes by name.
        version: the version of its operator set.
    """

    proto: NodeProto
    inputs: tuple[GraphTensor | None, ...]
    attributes: Mapping[str, Any]
    version: int

    @property
    def domain(self) -> str:
        """The domain of its operator, "" for ONNX's own."""
        return domain_of(self.proto.domain)

    @property
    def operator(self) -> str:
        """The name of its operator, with the domain unless it is ONNX's own: `Conv`, `com.microsoft::FusedConv`."""
        return f"{self.domain}::{self.proto.op_type}" if self.domain else self.proto.op_type

    @property
    def label(self) -> str:
        """Its name for messages."""
        return f"{self.proto.name or (self.proto.output[0] if self.proto.output else '')} ({self.operator})"

    def input(self, place: int) -> GraphTensor:
        """Return an input that the operator requires."""
        tensor = self.optional(place)
        if tensor is None:
            raise LookupError(f"input {place} is missing")
        return tensor

    def optional(self, place: int) -> GraphTensor | None:
        """Return an input, or None if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def present(self, *places: int) -> tuple[GraphTensor, ...]:
        """Return the inputs at some places, or all, without those that are left out."""
        chosen = map(self.optional, places) if places else self.inputs
        return tuple(tensor for tensor in chosen if tensor is not None)

    def value(self, place: int) -> Array | None:
        """Return the elements of an input, or None if they are unknown or it is left out."""
        tensor = self.optional(place)
        return None if tensor is None else tensor.value

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute; numbers, texts, lists of these, or a graph."""
        return self.attributes.get(name, default)


def domain_of(name: str) -> str:
    """Return the domain of an operator; ONNX's own has two names."""
    return "" if name == "ai.onnx" else name


def with_attributes(proto: NodeProto, outer: Mapping[str, AttributeProto]) -> NodeProto:
    """Return a node with the attributes that it takes from `outer`, those of the function call that it is in."""
    if not any(attribute.ref_attr_name for attribute in proto.attribute):
        return proto
    found = NodeProto()
    found.CopyFrom(proto)
    del found.attribute[:]
    for attribute in proto.attribute:
        given = outer.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
        if given is not None:
            found.attribute.append(given)
            found.attribute[-1].name = attribute.name
    return found


def attributes_of(proto: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    found: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        found[attribute.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found
