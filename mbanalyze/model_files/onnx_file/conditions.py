"""Conditions: the branch that is taken, or the costlier one if that is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_runs import graph_of, run_graph
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import NodeStep, NodeWalk
from mbanalyze.model_files.onnx_file.recording import Numbered, operator_of
from mbanalyze.model_files.onnx_file.roles import Roles
from mbanalyze.ops.cost import total
from mbanalyze.ops.registry import cost


def run_if(walk: NodeWalk, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor]:
    """Walk through the branch that the condition selects, or the costlier one if it is unknown."""
    graphs = graph_of(node, "then_branch"), graph_of(node, "else_branch")
    path = path_of(node, frame.path)
    condition = node.input(0).value
    if condition is not None:
        graph = graphs[0] if bool(condition.reshape(-1)[0]) else graphs[1]
        return run_graph(walk, graph, frame.inside(graph, path))
    branches, errors = [], []
    for graph in graphs:
        apart = walk.apart()
        try:
            outputs = run_graph(apart, graph, frame.inside(graph, path))
        except ModelFileError as error:
            errors.append(error)
        else:
            branches.append((_cost_of(apart.steps), apart, outputs))
    if not branches:
        raise errors[0]
    _, taken, outputs = max(branches, key=lambda branch: branch[0])
    walk.adopt(taken)
    walk.branches.append(path)
    return [replace(tensor, value=None) for tensor in outputs]


def _cost_of(steps: Sequence[NodeStep]) -> tuple[int, int, int]:
    """The macs, flops and memory access of steps."""
    numbered = Numbered(Roles(steps), ())
    spent = total([cost(operator_of(step, numbered)) for step in steps])
    return spent.macs or 0, spent.flops or 0, spent.memory_access
