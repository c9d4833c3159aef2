"""Matchers of normalisations."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.learned_names import looks_learned
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    NodeMatcher,
    composite,
    elements,
)
from mbanalyze.ops.record import Attribute


def norm(kind: str) -> NodeMatcher:
    """Return a matcher for a normalisation by statistics of its input, with or without scale and shift."""

    def rule(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
        affine = _affine(node)
        attributes: dict[str, Attribute] = {"affine": len(affine)}
        if "num_groups" in node.attributes:
            attributes["groups"] = node.attributes["num_groups"]
        return NodeMatch(kind, (node.input(0), *affine), attributes, 1)

    return rule


def _affine(node: OnnxNode) -> tuple[GraphTensor, ...]:
    """The scale and shift of a normalisation."""
    return tuple(t for place in (1, 2) for t in node.present(place) if not _is_neutral(t, place))


def _is_neutral(tensor: GraphTensor, place: int) -> bool:
    """True for a scale of ones or a shift of zeros that an exporter made up, as the operator requires both."""
    value = tensor.value if tensor.is_constant and not looks_learned(tensor) else None
    return value is not None and bool((value == (1 if place == 1 else 0)).all())


def batch_norm(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a batch norm by running statistics, or in training by those of the batch."""
    affine = _affine(node)
    operands = (node.input(0), *affine, *node.present(3, 4))
    if node.attribute("training_mode", 0):
        return NodeMatch("batch_norm_training", operands, {"affine": len(affine)}, 1)
    return NodeMatch("batch_norm", operands, {}, 1)


def mean_variance_norm(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match a normalisation without scale and shift, of each image or of the whole batch."""
    batch = 0 in node.attribute("axes", (0, 2, 3))
    return NodeMatch("batch_norm_training" if batch else "instance_norm", node.present(0), {"affine": 0})


def local_response_norm(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match a division by the squares of `size` neighbouring channels.

    An element takes `size + 5` flops: square, mean of the window (`size`), scale, add, power, divide.
    """
    return composite(node, (node.attributes["size"] + 5) * elements(outputs[0]))
