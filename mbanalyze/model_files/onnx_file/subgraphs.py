"""Functions, conditions and loops: nodes that stand for other nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import Node

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.walk import Scope, Walk


def run_subgraphs(walk: Walk, node: Node, scope: Scope, prefix: str) -> Sequence[GraphTensor] | None:
    """Return the outputs of a function, condition or loop; None for any other node."""
    del walk, node, scope, prefix
    return None
