"""Sequences of tensors and optional tensors, which nodes make, read and change without work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from onnx import helper

from mbanalyze.model_files.file_error import MAX_NODES, ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_runs import joined, part
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, known
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import NodeWalk

Items = tuple[GraphTensor, ...]


def run_sequence(walk: NodeWalk, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor]:
    """Return the outputs of a node of `SEQUENCES`."""
    if node.operator == "ConcatFromSequence":
        stack = bool(node.attribute("new_axis", 0))
        path, name = path_of(node, frame.path), node.proto.output[0]
        axis = node.attribute("axis", 0)
        return [joined(walk, node, path, name, _items(node), axis, stack=stack)]
    found = SEQUENCES[node.operator](node)
    walk.enter(len(found.items or ()))
    walk.free[node.operator] += 1
    return [found]


def _items(node: OnnxNode) -> Items:
    """The tensors of the sequence that a node reads first."""
    items = node.input(0).items
    if items is None:
        raise ModelFileError(f"{node.label} reads a tensor instead of a sequence")
    return items


def _sequence(node: OnnxNode, items: Items) -> GraphTensor:
    """A sequence of tensors."""
    whole = known(np.zeros(0), node.proto.output[0])
    element = items[0].type if items else whole.type
    return replace(whole, type=helper.make_sequence_type_proto(element), value=None, items=items)


def _place(node: OnnxNode, input: int, count: int, default: int | None = None) -> int:
    """A place in a sequence, which an input holds."""
    if default is not None and node.optional(input) is None:
        return default
    value = node.value(input)
    if value is None or value.size != 1:
        raise ModelFileError(f"the place in a sequence that {node.label} reads is unknown")
    place = int(value.reshape(-1)[0])
    if not -count <= place < max(count, 1):
        raise ModelFileError(f"{node.label} reads place {place} of a sequence of {count}")
    return place % max(count, 1)


def _at(node: OnnxNode) -> GraphTensor:
    items = _items(node)
    if not items:
        raise ModelFileError(f"{node.label} reads an empty sequence")
    return items[_place(node, 1, len(items))]


def _insert(node: OnnxNode) -> GraphTensor:
    items = _items(node)
    place = _place(node, 2, len(items) + 1, default=len(items))
    return _sequence(node, (*items[:place], node.input(1), *items[place:]))


def _erase(node: OnnxNode) -> GraphTensor:
    items = _items(node)
    place = _place(node, 1, len(items), default=len(items) - 1)
    return _sequence(node, (*items[:place], *items[place + 1 :]))


def _split(node: OnnxNode) -> GraphTensor:
    """The parts of a tensor along a dimension."""
    tensor, axis = node.input(0), node.attribute("axis", 0)
    if tensor.items is not None or not -len(tensor.shape) <= axis < len(tensor.shape):
        raise ModelFileError(f"{node.label} splits dimension {axis} of {list(tensor.shape)}")
    axis %= len(tensor.shape)
    keep = node.optional(1) is not None or bool(node.attribute("keepdims", 1))
    parts, start = [], 0
    for size in _part_sizes(node, tensor.shape[axis]):
        parts.append(part(tensor, axis, start, size, keep=keep))
        start += size
    return _sequence(node, tuple(parts))


def _part_sizes(node: OnnxNode, whole: int) -> list[int]:
    """The sizes of the parts into which a dimension is split."""
    value = np.array(1) if node.optional(1) is None else node.value(1)
    if value is None:
        raise ModelFileError(f"the sizes into which {node.label} splits a tensor are unknown")
    if value.ndim:
        sizes = [int(size) for size in value.reshape(-1)]
        if min(sizes, default=0) < 0 or sum(sizes) != whole:
            raise ModelFileError(f"{node.label} splits {whole} into {sizes}")
        return sizes
    size = int(value)
    if size < 1 or whole // size > MAX_NODES:
        raise ModelFileError(f"{node.label} splits {whole} into parts of {size}")
    return [min(size, whole - start) for start in range(0, whole, size)]


SEQUENCES: dict[str, Callable[[OnnxNode], GraphTensor]] = {
    "SequenceConstruct": lambda node: _sequence(node, node.present()),
    "SequenceEmpty": lambda node: _sequence(node, ()),
    "SequenceAt": _at,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceLength": lambda node: known(np.array(len(_items(node))), node.proto.output[0]),
    "SplitToSequence": _split,
    "ConcatFromSequence": lambda node: node.input(0),
    "Optional": lambda node: node.input(0),
    "OptionalGetElement": lambda node: node.input(0),
    "OptionalHasElement": lambda node: known(np.array(bool(node.present())), node.proto.output[0]),
}
"""Operator -> the tensor or sequence that it writes."""
