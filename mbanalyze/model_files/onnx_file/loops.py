"""Loops: their body once for each iteration, if the number of iterations is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_runs import graph_of, joined, run_graph
from mbanalyze.model_files.onnx_file.graph_tensors import Array, GraphTensor, known, typed
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import NodeStep, NodeWalk
from mbanalyze.model_files.onnx_file.output_types import has_shape


def run_loop(walk: NodeWalk, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor]:
    """Walk through the body as often as it runs; a loop with an unknown number of iterations is not counted."""
    most, go = node.optional(0), node.optional(1)
    body = graph_of(node, "body")
    if most is None and go is None:
        raise ModelFileError(f"{node.label} has neither a number of iterations nor a condition")
    apart = walk.apart()
    if most is None or most.value is not None:
        limit = None if most is None or most.value is None else int(_only(most.value))
        outputs = _iterated(apart, node, body, frame, limit, True if go is None else _truth(go))
        if outputs is not None:
            walk.adopt(apart)
            return outputs
    return _uncounted(walk, node, frame)


def _iterated(
    walk: NodeWalk, node: OnnxNode, body: GraphProto, frame: Frame, limit: int | None, go: bool | None
) -> list[GraphTensor] | None:
    """The outputs after all iterations; None if a condition is unknown."""
    path = path_of(node, frame.path)
    around = frame.inside(body, path)
    carried: Sequence[GraphTensor | None] = node.inputs[2:]
    parts: list[list[GraphTensor]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    iteration = 0
    if go and _keeps_condition(body):
        if limit is None:
            raise ModelFileError(f"{node.label} does not end: its condition stays true")
        walk.enter(max(limit, 0))
    while limit is None or iteration < limit:
        if go is None:
            return None
        if not go:
            break
        walk.enter(1)
        state = (known(np.array(iteration), "iteration"), known(np.array(True), "condition"))
        condition, *outputs = run_graph(walk, body, around.again(), (*state, *carried))
        carried, found = outputs[: len(carried)], outputs[len(carried) :]
        for each, tensor in zip(parts, found, strict=True):
            each.append(tensor)
        go, iteration = _truth(condition), iteration + 1
    names = node.proto.output[len(carried) :]
    stacks = [joined(walk, node, path, *each, 0, stack=True) for each in zip(names, parts, strict=False)]
    return [*_all_given(node, carried), *stacks]


def _keeps_condition(body: GraphProto) -> bool:
    """True if the body returns the condition that it is given, so that all iterations run."""
    given, returned = body.input[1].name, body.output[0].name
    copies = {each.output[0] for each in body.node if each.op_type == "Identity" and given in each.input}
    return returned in {given, *copies}


def _all_given(node: OnnxNode, tensors: Sequence[GraphTensor | None]) -> list[GraphTensor]:
    if None in tensors:
        raise ModelFileError(f"{node.label} returns an input that is left out")
    return [tensor for tensor in tensors if tensor is not None]


def _truth(condition: GraphTensor) -> bool | None:
    """The value of a condition, or None if it is unknown."""
    return None if condition.value is None else bool(_only(condition.value))


def _only(value: Array) -> float:
    """The only element of an array."""
    if value.size != 1:
        raise ModelFileError(f"a condition or number of iterations has {value.size} elements instead of one")
    return float(value) if value.dtype.kind == "f" else int(value.reshape(-1)[0])


def _uncounted(walk: NodeWalk, node: OnnxNode, frame: Frame) -> list[GraphTensor]:
    """The outputs of a loop with an unknown number of iterations, as the file describes them."""
    outputs = []
    for name in node.proto.output:
        type = frame.described.get(name)
        if type is None or not has_shape(type):
            raise ModelFileError(
                f"the number of iterations of {node.label} is unknown, and the file has no shape of {name!r}: "
                "replace the loop, or run onnx.shape_inference on the file"
            )
        outputs.append(typed(type, name, "computed"))
    match = NodeMatch(f"onnx::{node.operator}", node.present())
    walk.steps.append(NodeStep(path_of(node, frame.path), node, match, tuple(outputs)))
    return outputs
