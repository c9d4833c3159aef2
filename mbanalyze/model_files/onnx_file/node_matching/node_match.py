"""`NodeMatch`, the interpretation of one node, and the matcher for operators of a fixed kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import Node
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


NodeMatcher = Callable[[Node, list[GraphTensor]], NodeMatch | None]
"""A function from a node and its outputs to a match; None for a node that does no work."""


def fixed_kind(kind: str, *places: int, outputs: int | None = None) -> NodeMatcher:
    """Return a matcher for `kind` that reads the inputs at `places`, by default all that are no known scalar."""

    def rule(node: Node, _: list[GraphTensor]) -> NodeMatch:
        operands = node.present(*places) if places else tensors_of(node)
        return NodeMatch(kind, operands, _NO_ATTRIBUTES, outputs)

    return rule


def tensors_of(node: Node) -> tuple[GraphTensor, ...]:
    """Return the inputs without the constants of one element, which are settings as a number in a call is."""
    return tuple(tensor for tensor in node.present() if not is_setting(tensor))


def is_setting(tensor: GraphTensor) -> bool:
    """Return True for a constant of one element."""
    return tensor.is_constant and all(size == 1 for size in tensor.shape)
