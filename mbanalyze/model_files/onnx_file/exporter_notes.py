"""Differences between a file and the module that it was exported from, as notes of a report."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from onnx import ModelProto

from mbanalyze.model_files.onnx_file.node_paths import holds_norm
from mbanalyze.model_files.onnx_file.node_steps import NodeStep
from mbanalyze.model_files.onnx_file.recording import packed_elements
from mbanalyze.model_files.onnx_file.roles import Roles
from mbanalyze.model_files.onnx_file.signature import Signature
from mbanalyze.model_files.onnx_file.walk import Walk

_STATISTICS = (".running_mean", ".running_var")


def exporter_notes(model: ModelProto, walk: Walk, steps: Sequence[NodeStep], roles: Roles) -> tuple[str, ...]:
    """Return the properties of a file that a reader of the module would not expect."""
    producer = f"{model.producer_name} {model.producer_version}".strip()
    folded = sum(map(_has_folded_norm, steps))
    merged = _merged_elements(model)
    absent = _absent_parameters(model)
    elements = sum(roles.computed.values())
    packed = sum(packed_elements(steps).values())
    found = (
        (producer, f"counted as {producer} wrote it"),
        (folded, f"batch norms that the exporter folded into convolutions: {folded}"),
        (absent, f"parameters that the exporter folded, merged or renamed: {absent}"),
        (merged, f"elements of weights that the exporter merged with equal ones: {merged:,}"),
        (elements, f"elements of constants that the exporter computed, which are no params: {elements:,}"),
        (walk.constants, f"large nodes without an input of the network, computed once: {walk.constants}"),
        (packed, f"elements of less than a byte, which are counted as a byte each: {packed:,}"),
    )
    branches = [f"counted the costlier branch of a condition in {p or 'the model'}" for p in walk.branches]
    return (*(note for present, note in found if present), *dict.fromkeys(branches))


def _merged_elements(model: ModelProto) -> int:
    """The elements of weights that are stored once, and have a second name; those of running statistics aside."""
    stored = {each.name: prod(each.dims) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Identity"]
    copies = [node.input[0] for node in nodes if not node.output[0].endswith(_STATISTICS)]
    return sum(stored.get(name, 0) for name in copies)


def _absent_parameters(model: ModelProto) -> int:
    """The parameters of the exported program, which the exporter lists, that are no initializers of the file."""
    return len(Signature(model.graph).parameters - {each.name for each in model.graph.initializer})


def _has_folded_norm(step: NodeStep) -> bool:
    """True for a convolution that an exporter of PyTorch merged with a batch norm."""
    if step.match.kind != "conv":
        return False
    weight = step.match.operands[1].memory.name
    return holds_norm(step.node.proto) or weight.startswith("onnx::Conv")
