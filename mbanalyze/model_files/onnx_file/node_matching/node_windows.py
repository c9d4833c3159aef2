"""Matchers of operators that combine the elements of a window: pooling, interpolation and sampling."""

from __future__ import annotations

from math import prod

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch, composite, elements, unknown

_WIDTHS = {
    "nearest": 1,
    "linear": 2,
    "bilinear": 2,
    "cubic": 4,
    "bicubic": 4,
}
"""Mode of an interpolation -> the neighbours along each dimension."""


def max_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the maximum of each window."""
    return NodeMatch("max_pool", node.present(0), _window(node))


def avg_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the mean of each window. One window of the size of the image is global pooling."""
    image, window = node.input(0), _window(node)
    if window["kernel"] == image.shape[2:] and not any(node.attribute("pads", ())):
        return NodeMatch("global_avg_pool", (image,))
    return NodeMatch("avg_pool", (image,), window)


def lp_pool(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match the norm of each window: `a` powers, `a - 1` additions and a root for `a` elements."""
    return composite(node, 2 * elements(outputs[0]) * prod(_window(node)["kernel"]))


def global_lp_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the norm of an image: a power of each element, the additions and a root."""
    return composite(node, 2 * elements(node.input(0)))


def global_max_pool(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match the maximum of an image."""
    image = node.input(0)
    return NodeMatch("adaptive_max_pool", (image,), {"dims": len(image.shape) - 2})


def _window(node: OnnxNode) -> dict[str, tuple[int, ...]]:
    """The size of the windows, and the step between them, 1 by default."""
    kernel = tuple(node.attributes["kernel_shape"])
    return {"kernel": kernel, "stride": tuple(node.attribute("strides", (1,) * len(kernel)))}


def resize(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match an interpolation along the dimensions whose size changes.

    An antialiased one reaches 1 (linear) or 2 (cubic) times the shrink ratio each way.
    """
    image = node.input(0)
    width = _WIDTHS[node.attribute("mode", "nearest")]
    changed = [(n, m) for n, m in zip(image.shape, outputs[0].shape, strict=True) if n != m]
    if node.attribute("antialias", 0) and width > 1:
        taps = prod(-(-width * max(n, m) // m) for n, m in changed)
    else:
        taps = width ** len(changed)
    return NodeMatch("interpolate", (image,), {"taps": taps})


def grid_sample(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match sampling at the points of a grid."""
    image = node.input(0)
    taps = _WIDTHS[node.attribute("mode", "linear")] ** (len(image.shape) - 2)
    return NodeMatch("grid_sample", node.present(0, 1), {"taps": taps})


def roi_align(node: OnnxNode, _: list[GraphTensor]) -> NodeMatch:
    """Match samples of four neighbours each, if their number per bin does not depend on the region's size."""
    samples = node.attribute("sampling_ratio", 0)
    if samples <= 0:
        return unknown(node)
    return NodeMatch("roi_align", node.present(), {"taps": 4 * samples**2})
