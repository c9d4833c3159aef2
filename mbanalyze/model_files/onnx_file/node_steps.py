"""`NodeStep`, a node that does work, and what a walk through nodes offers to those that stand for other nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from onnx import FunctionProto, NodeProto

from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch

FunctionName = tuple[str, str, str]
"""The domain, the name and the overload of a function."""


@dataclass(frozen=True, slots=True)
class NodeStep:
    """A node that does work, or whose work is unknown.

    Attributes:
        path: the path of its module.
        node: the node.
        match: what it does.
        outputs: the tensors that it writes.
    """

    path: str
    node: OnnxNode
    match: NodeMatch
    outputs: tuple[GraphTensor, ...]


class NodeWalk(Protocol):
    """The members of a walk that nodes with graphs or functions use; `Walk` describes them."""

    functions: Mapping[FunctionName, FunctionProto]
    steps: list[NodeStep]
    free: Counter[str]
    branches: list[str]

    def run(self, nodes: Iterable[NodeProto], frame: Frame) -> None:
        """Walk through nodes and add their outputs to the frame."""

    def enter(self, nodes: int) -> None:
        """Add to the number of nodes, and raise `ModelFileError` if they are too many."""

    def apart(self) -> Self:
        """Return a walk whose steps are not those of this one yet."""

    def adopt(self, other: Self) -> None:
        """Add the steps of a walk that was apart."""
