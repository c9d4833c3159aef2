"""Scans: loops over the slices of tensors, whose number is that of a dimension."""

from __future__ import annotations

from collections.abc import Sequence

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_runs import graph_of, joined, part, run_graph
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import NodeWalk


def run_scan(walk: NodeWalk, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor]:
    """Walk through the body for each slice."""
    if node.version < 9:
        raise ModelFileError(f"{node.label} is of operator set 8: convert the file to a later one")
    body, path = graph_of(node, "body"), path_of(node, frame.path)
    sliced = node.attribute("num_scan_inputs", 0)
    if not 1 <= sliced <= len(node.inputs):
        raise ModelFileError(f"{node.label} scans {sliced} of its {len(node.inputs)} inputs")
    state: Sequence[GraphTensor | None] = node.inputs[:-sliced]
    places = range(len(node.inputs) - sliced, len(node.inputs))
    sources = [node.input(place) for place in places]
    axes = _axes(node, sources)
    lengths = {source.shape[axis] for source, axis in zip(sources, axes, strict=True)}
    if len(lengths) != 1:
        raise ModelFileError(f"{node.label} scans dimensions of different sizes: {sorted(lengths)}")
    length = lengths.pop()
    backward = node.attribute("scan_input_directions", [0] * sliced)
    around = frame.inside(body, path)
    parts: list[list[GraphTensor]] = [[] for _ in range(len(body.output) - len(state))]
    walk.enter(length)
    for iteration in range(length):
        slices = [
            part(source, axis, length - 1 - iteration if back else iteration, 1, keep=False)
            for source, axis, back in zip(sources, axes, backward, strict=True)
        ]
        outputs = run_graph(walk, body, around.again(), (*state, *slices))
        state = outputs[: len(state)]
        for each, tensor in zip(parts, outputs[len(state) :], strict=True):
            each.append(tensor)
    out_axes = node.attribute("scan_output_axes", [0] * len(parts))
    names = node.proto.output[len(state) :]
    results = zip(names, parts, out_axes, strict=False)
    return [*filter(None, state), *(joined(walk, node, path, *each, stack=True) for each in results)]


def _axes(node: OnnxNode, sources: Sequence[GraphTensor]) -> list[int]:
    """The dimension of each scanned input that is scanned."""
    axes = node.attribute("scan_input_axes", [0] * len(sources))
    for source, axis in zip(sources, axes, strict=True):
        if not -len(source.shape) <= axis < len(source.shape):
            raise ModelFileError(f"{node.label} scans dimension {axis} of a tensor {list(source.shape)}")
    return [axis % len(source.shape) for source, axis in zip(sources, axes, strict=True)]
