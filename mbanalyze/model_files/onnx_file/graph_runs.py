"""A walk through a graph in an attribute: a branch, or the body of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from onnx import GraphProto, helper

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_tensors import MAX_KNOWN, GraphTensor, known, typed
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch
from mbanalyze.model_files.onnx_file.node_steps import NodeStep, NodeWalk


def graph_of(node: OnnxNode, name: str) -> GraphProto:
    """Return an attribute that is a graph.

    Raises:
        ModelFileError: it is missing, or no graph.
    """
    graph = node.attribute(name)
    if not isinstance(graph, GraphProto):
        raise ModelFileError(f"{node.label} has no graph {name!r}")
    return graph


def run_graph(
    walk: NodeWalk, graph: GraphProto, frame: Frame, given: Sequence[GraphTensor | None] = ()
) -> list[GraphTensor]:
    """Walk through a graph, and return its outputs.

    Args:
        walk: where its steps are added.
        graph: the graph.
        frame: a frame with its initializers.
        given: its inputs in order.

    Raises:
        ModelFileError: the graph has another number of inputs, or an output that nothing writes.
    """
    if len(given) != len(graph.input):
        raise ModelFileError(f"the graph {graph.name!r} takes {len(graph.input)} inputs, not {len(given)}")
    for info, tensor in zip(graph.input, given, strict=True):
        frame.write(info.name, tensor)
    walk.run(graph.node, frame)
    outputs = []
    for info in graph.output:
        tensor = frame.read(info.name)
        if tensor is None:
            raise ModelFileError(f"the graph {graph.name!r} returns {info.name!r}, which is left out")
        outputs.append(tensor)
    return outputs


def joined(
    walk: NodeWalk,
    node: OnnxNode,
    path: str,
    name: str,
    tensors: Sequence[GraphTensor],
    axis: int,
    *,
    stack: bool,
) -> GraphTensor:
    """Return tensors joined along a dimension, a new one if `stack`; the copy is a step unless all are known.

    Raises:
        ModelFileError: there are none, or their shapes differ in another dimension.
    """
    if not tensors:
        raise ModelFileError(f"{node.label} joins no tensors, and their shape is unknown")
    shapes = [_with_one(tensor.shape, axis, stack=stack) for tensor in tensors]
    place = axis % len(shapes[0]) if shapes[0] else 0
    others = {(*shape[:place], *shape[place + 1 :]) for shape in shapes}
    types = {tensor.element_type for tensor in tensors}
    if not shapes[0] or len(others) != 1 or len({len(shape) for shape in shapes}) != 1 or len(types) != 1:
        raise ModelFileError(f"{node.label} joins tensors of different shapes or types: {shapes[:3]}")
    sizes = (*shapes[0][:place], sum(shape[place] for shape in shapes), *shapes[0][place + 1 :])
    values = [tensor.value for tensor in tensors if tensor.value is not None]
    if len(values) == len(tensors) and prod(sizes) <= MAX_KNOWN:
        parts = [value.reshape(shape) for value, shape in zip(values, shapes, strict=True)]
        return known(np.concatenate(parts, place), name)
    type = helper.make_tensor_type_proto(tensors[0].element_type, sizes)
    result = typed(type, name, "computed")
    walk.steps.append(NodeStep(path, node, NodeMatch("cat", tuple(tensors)), (result,)))
    return result


def _with_one(shape: tuple[int, ...], axis: int, *, stack: bool) -> tuple[int, ...]:
    """A shape with a new dimension of size 1 if `stack`."""
    rank = len(shape) + stack
    if not -rank <= axis < max(rank, 1):
        raise ModelFileError(f"there is no dimension {axis} of {rank}")
    place = axis % max(rank, 1)
    return (*shape[:place], 1, *shape[place:]) if stack else shape


def part(tensor: GraphTensor, axis: int, start: int, size: int, *, keep: bool) -> GraphTensor:
    """Return a part of a tensor along one dimension, in its memory; without `keep`, the dimension is removed."""
    shape = list(tensor.shape)
    shape[axis : axis + 1] = [size] if keep else []
    type = helper.make_tensor_type_proto(tensor.element_type, shape)
    value = tensor.value
    if value is not None:
        value = value.take(range(start, start + size), axis).reshape(shape)
    return GraphTensor(type, tensor.memory, tensor.stored, value)
