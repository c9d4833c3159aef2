"""Nodes that ONNX's shape inference must not see: it reads memory that is not its own, or does not end."""

from __future__ import annotations

from collections.abc import Callable

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.node import OnnxNode

_MAX_RANK = 1000


def check_inference(node: OnnxNode) -> None:
    """Raise `ModelFileError` for a node whose attributes or inputs end the process that infers its shapes."""
    check = _CHECKS.get(node.operator)
    reason = check(node) if check else ""
    if reason:
        raise ModelFileError(f"{node.label} does not fit its inputs: {reason}")


def _axis(node: OnnxNode) -> str:
    """The reason why an axis is not one of the first input; "" if it is."""
    axis, rank = node.attribute("axis", -1), len(node.input(0).shape)
    return "" if -rank <= axis < rank else f"there is no dimension {axis} of {rank}"


def _batch_dims(node: OnnxNode) -> str:
    count, ranks = node.attribute("batch_dims", 0), [len(tensor.shape) for tensor in node.present()]
    return "" if 0 <= count < min(ranks, default=0) else f"batch_dims is {count}"


def _outputs(node: OnnxNode) -> str:
    count, outputs = node.attribute("num_outputs"), len(node.proto.output)
    return "" if count in (None, outputs) else f"num_outputs is {count}, and the node has {outputs} outputs"


def _rank(place: int) -> Callable[[OnnxNode], str]:
    """A check of the input that holds the sizes of the output."""

    def reason(node: OnnxNode) -> str:
        sizes = node.input(place).shape
        return f"its output has {sizes[0]} dimensions" if sizes and sizes[0] > _MAX_RANK else ""

    return reason


_CHECKS: dict[str, Callable[[OnnxNode], str]] = {
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _axis),
    "GatherND": _batch_dims,
    "Split": _outputs,
    "ConstantOfShape": _rank(0),
    **dict.fromkeys(("Expand", "Reshape", "Tile"), _rank(1)),
}
"""Operator -> what finds the reason why its shapes are not inferred."""
