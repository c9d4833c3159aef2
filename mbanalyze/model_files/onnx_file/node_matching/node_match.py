"""`NodeMatch`, the interpretation of one node, and the matchers that need no more than a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import NamedTuple

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.ops.record import Attribute

_NO_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({})


class NodeMatch(NamedTuple):
    """The interpretation of one node.

    Attributes:
        kind: the kind of the `Op`.
        operands: the tensors that are read, in the order of the kind's own signature.
        attributes: the settings that its formula needs.
        outputs: the number of outputs that are results; None if all are.
    """

    kind: str
    operands: tuple[GraphTensor, ...]
    attributes: Mapping[str, Attribute] = _NO_ATTRIBUTES
    outputs: int | None = None


NodeMatcher = Callable[[OnnxNode, list[GraphTensor]], NodeMatch | None]
"""A function from a node and its outputs to a match; None for a node that does no work."""


def fixed_kind(kind: str, *places: int, outputs: int | None = None) -> NodeMatcher:
    """Return a matcher for `kind` that reads the inputs at `places`, by default all that are no known scalar."""

    def rule(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
        operands = node.present(*places) if places else tensors_of(node)
        return NodeMatch(kind, operands, _NO_ATTRIBUTES, outputs)

    return rule


def of_elements(flops: int) -> NodeMatcher:
    """Return a matcher for an operator of several steps, which take `flops` for each element of its output."""
    return lambda node, outputs: composite(node, flops * elements(outputs[0]))


def composite(node: OnnxNode, flops: int) -> NodeMatch:
    """Match an operator of several steps, whose flops are known."""
    return NodeMatch("composite", tensors_of(node), {"flops": flops})


def no_work(_: OnnxNode, __: list[GraphTensor]) -> None:
    """Match a node that only allocates, or numbers elements in order."""


def unknown(node: OnnxNode) -> NodeMatch:
    """Match a node whose work is unknown."""
    return NodeMatch(node.operator if "::" in node.operator else f"onnx::{node.operator}", node.present())


def tensors_of(node: OnnxNode) -> tuple[GraphTensor, ...]:
    """Return the inputs without the constants of one element, which are settings as a number in a call is."""
    return tuple(tensor for tensor in node.present() if not is_setting(tensor))


def is_setting(tensor: GraphTensor) -> bool:
    """Return True for a constant of one element."""
    return tensor.is_constant and all(size == 1 for size in tensor.shape)


def elements(tensor: GraphTensor) -> int:
    """Return the number of elements of a tensor."""
    return prod(tensor.shape)


def setting(node: OnnxNode, name: str, place: int) -> list[float] | None:
    """Return numbers that are an attribute in some versions of an operator and an input in others; None if unknown."""
    value = node.value(place)
    if value is not None:
        return list(value.reshape(-1).tolist())
    given = node.attribute(name)
    if given is None:
        return None
    return list(given) if isinstance(given, (list, tuple)) else [given]


def whole_numbers(node: OnnxNode, name: str, place: int) -> list[int] | None:
    """Return `setting` as integers."""
    found = setting(node, name, place)
    return None if found is None else list(map(int, found))
