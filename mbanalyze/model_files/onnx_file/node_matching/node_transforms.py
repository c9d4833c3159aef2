"""Matchers of Fourier transforms."""

from __future__ import annotations

from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_matching.node_match import (
    NodeMatch,
    composite,
    elements,
    whole_numbers,
)
from mbanalyze.ops.reduction_formulas import comparisons


def dft(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match a Fourier transform along one dimension; the last one holds the real and imaginary parts."""
    values = node.input(0)
    axis = (whole_numbers(node, "axis", 2) or [1 if node.version < 20 else -2])[0]
    # the shorter side of a one-sided transform has half of the elements
    given = whole_numbers(node, "", 1)
    length = given[0] if given else max(values.shape[axis], outputs[0].shape[axis])
    real = 1 in (values.shape[-1], outputs[0].shape[-1])
    times = elements(values) // max(values.shape[axis] * values.shape[-1], 1)
    return NodeMatch("fft", (values,), {"times": times, "length": length, "real": real})


def stft(node: OnnxNode, outputs: list[GraphTensor]) -> NodeMatch:
    """Match Fourier transforms of frames, each of which may be multiplied by a window."""
    signal, window = node.input(0), node.optional(2)
    given = whole_numbers(node, "", 3)
    length = given[0] if given else window.shape[0] if window is not None else signal.shape[1]
    frames = signal.shape[0] * outputs[0].shape[1]
    parts = signal.shape[2] if len(signal.shape) > 2 else 1
    if window is None:
        return NodeMatch("fft", (signal,), {"times": frames, "length": length, "real": parts == 1})
    # as the formula of fft; the window takes one multiplication of each real number
    flops = 5 * frames * length * comparisons(length) // (2 if parts == 1 else 1)
    return composite(node, flops + frames * length * parts)
