"""Nodes that stand for other nodes: calls of functions, conditions, loops and sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.conditions import run_if
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.function_calls import run_function
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.loops import run_loop
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_steps import NodeWalk
from mbanalyze.model_files.onnx_file.scans import run_scan
from mbanalyze.model_files.onnx_file.sequences import SEQUENCES, run_sequence

Runner = Callable[[NodeWalk, OnnxNode, Frame], Sequence[GraphTensor | None]]
"""A function that walks through the nodes that a node stands for, and returns its outputs."""

_RUNNERS: dict[str, Runner] = {
    "If": run_if,
    "Loop": run_loop,
    "Scan": run_scan,
    **dict.fromkeys(SEQUENCES, run_sequence),
}
"""Operator -> what walks through the nodes that it stands for."""


def run_subgraphs(walk: NodeWalk, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor] | None:
    """Return the outputs of a node that stands for other nodes, or that handles sequences; None for others.

    Raises:
        ModelFileError: the nodes are damaged or too many, or an output is missing.
    """
    function = walk.functions.get((node.domain, node.proto.op_type, node.proto.overload))
    if function is not None:
        return _written(node, run_function(walk, function, node, frame))
    if node.operator in _RUNNERS:
        return _written(node, _RUNNERS[node.operator](walk, node, frame))
    given = node.present()
    if any(tensor.items is not None for tensor in given):
        if node.operator == "Identity":
            return given
        raise ModelFileError(f"{node.label} reads a sequence, which is not supported: replace the node")
    return None


def _written(node: OnnxNode, outputs: Sequence[GraphTensor | None]) -> list[GraphTensor]:
    """The outputs that the node names."""
    if len(node.proto.output) > len(outputs):
        raise ModelFileError(f"{node.label} has {len(node.proto.output)} outputs instead of {len(outputs)}")
    found = []
    for name, tensor in zip(node.proto.output, outputs, strict=False):
        if name and tensor is None:
            raise ModelFileError(f"{node.label} returns an input that is left out")
        if name and tensor is not None:
            found.append(tensor)
    return found
