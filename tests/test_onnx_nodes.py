"""Nodes of ONNX, by the arithmetic of their operators."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import TensorProto
from onnx.defs import has, onnx_opset_version
from onnx_graphs import floats, node_rows, scalar, whole
from torch import nn

import mbanalyze
from mbanalyze.ops.formulas import FORMULAS

IMAGE = (2, 4, 6, 8)
PIXELS = 2 * 4 * 6 * 8

Case = tuple[str, tuple[Any, ...], dict[str, Any], str, int, int]

# operator, inputs, attributes, kind, macs, flops
NODES: list[Case] = [
    ("Clip", (IMAGE, floats(0), floats(6)), {}, "relu6", 0, PIXELS),
    ("Clip", (IMAGE, None, floats(6)), {}, "clamp", 0, PIXELS),
    ("Clip", (IMAGE,), {"min": 0.0, "max": 6.0, "opset": 10}, "relu6", 0, PIXELS),
    ("Shrink", (IMAGE,), {"lambd": 0.5}, "hard_shrink", 0, PIXELS),
    ("Shrink", (IMAGE,), {"lambd": 0.5, "bias": 0.5}, "soft_shrink", 0, 2 * PIXELS),
    ("ThresholdedRelu", (IMAGE,), {}, "threshold", 0, PIXELS),
    ("HardSwish", (IMAGE,), {}, "hard_swish", 0, 4 * PIXELS),
    ("Mish", (IMAGE,), {}, "mish", 0, 5 * PIXELS),
    ("Swish", (IMAGE,), {"opset": 24}, "silu", 0, 5 * PIXELS),
    # a scale, a sigmoid of 4 flops, and a product
    ("Swish", (IMAGE,), {"alpha": 2.0, "opset": 24}, "composite", 0, 6 * PIXELS),
    # a silu of 5 flops, and a product
    ("SwiGLU", (IMAGE, IMAGE), {"opset": 28}, "composite", 0, 6 * PIXELS),
    # absolute value, increment, divide
    ("Softsign", (IMAGE,), {}, "composite", 0, 3 * PIXELS),
    ("Sinh", (IMAGE,), {}, "sinh", 0, PIXELS),
    ("Asinh", (IMAGE,), {}, "asinh", 0, PIXELS),
    ("PRelu", (IMAGE, floats(0.25)), {}, "prelu", 0, 2 * PIXELS),
    ("Sum", (IMAGE,), {}, "copy", 0, 0),
    ("Sum", (IMAGE, IMAGE), {}, "add", 0, PIXELS),
    ("Sum", (IMAGE, IMAGE, (1, 4, 1, 1)), {}, "composite", 0, 2 * PIXELS),
    # one addition and one division
    ("Mean", (IMAGE, IMAGE), {}, "composite", 0, 2 * PIXELS),
    ("Max", (IMAGE, floats(1.0)), {}, "maximum", 0, PIXELS),
    ("Min", (IMAGE, IMAGE, IMAGE), {}, "composite", 0, 2 * PIXELS),
    ("Pow", (IMAGE, floats(2.0)), {}, "pow", 0, PIXELS),
    ("BitShift", ((5,), (5,)), {"direction": "LEFT"}, "shift", 0, 5),
    ("BitwiseAnd", ((5,), (5,)), {}, "bitwise_and", 0, 5),
    ("BitwiseNot", ((5,),), {}, "bitwise_not", 0, 5),
    ("Xor", ((5,), (5,)), {}, "logical_xor", 0, 5),
    ("Not", ((5,),), {}, "logical_not", 0, 5),
    ("IsInf", ((5,),), {}, "isinf", 0, 5),
    ("LessOrEqual", ((5,), (5,)), {}, "le", 0, 5),
    ("Cast", (IMAGE,), {"to": TensorProto.FLOAT16}, "copy", 0, 0),
    ("CastLike", (IMAGE, whole(1)), {}, "copy", 0, 0),
    # 10 tokens rotate 4 of their 8 numbers: two products and one sum each
    ("RotaryEmbedding", ((2, 1, 5, 8), (2, 5, 2), (2, 5, 2)), {"rotary_embedding_dim": 4}, "composite", 0, 120),
    # reductions: 384 elements to 2 x 6 x 8
    ("ReduceSum", (IMAGE, whole(1)), {}, "reduce", 0, PIXELS - 96),
    ("ReduceSum", (IMAGE,), {"axes": [1], "opset": 11}, "reduce", 0, PIXELS - 96),
    ("ReduceSum", (IMAGE, whole()), {"noop_with_empty_axes": 1}, "copy", 0, 0),
    ("ReduceMean", (IMAGE, whole(2, 3)), {}, "global_avg_pool", 0, PIXELS),
    ("ReduceMean", (IMAGE,), {"axes": [-1, -2], "opset": 13}, "global_avg_pool", 0, PIXELS),
    ("ReduceMean", (IMAGE,), {}, "mean", 0, PIXELS),
    ("ReduceL1", (IMAGE, whole(1)), {}, "norm", 0, 2 * PIXELS),
    ("ReduceSumSquare", (IMAGE, whole(1)), {}, "norm", 0, 2 * PIXELS),
    # three additions and a logarithm for four elements
    ("ReduceLogSum", (IMAGE, whole(1)), {}, "composite", 0, PIXELS),
    ("ReduceLogSumExp", (IMAGE, whole(1)), {}, "log_sum_exp", 0, 4 * PIXELS),
    ("Hardmax", (IMAGE,), {}, "composite", 0, 2 * PIXELS),
    # two comparisons place one of four elements
    ("TopK", (IMAGE, whole(2)), {"axis": 1, "outputs": 2}, "sort", 0, 2 * PIXELS),
    ("TopK", (IMAGE,), {"axis": 1, "k": 2, "outputs": 2, "opset": 9}, "sort", 0, 2 * PIXELS),
    ("CumSum", (IMAGE, scalar(1)), {}, "cumulate", 0, PIXELS),
    ("Det", ((3, 2, 2),), {}, "determinant", 0, 3 * (3 + 1)),
    ("Trilu", (IMAGE,), {}, "triangle", 0, 0),
    ("Multinomial", ((2, 8),), {"sample_size": 1}, "multinomial", 0, 3 * 16),
    ("RandomNormal", (), {"shape": (2, 3)}, "random", 0, 6),
    ("RandomUniformLike", ((2, 3),), {}, "random", 0, 6),
    ("Bernoulli", ((2, 3),), {}, "random", 0, 6),
    # 5 x 8 x 3 flops of a complex transform, half of them if it is real; 2 signals
    ("DFT", ((2, 8, 1),), {"opset": 17}, "fft", 0, 2 * 60),
    ("DFT", ((2, 8, 2), None, scalar(1)), {"opset": 20}, "fft", 0, 2 * 120),
    ("DFT", ((2, 8, 1), None, scalar(1)), {"opset": 20, "onesided": 1}, "fft", 0, 2 * 60),
    # 3 frames of 4 numbers: 5 x 4 x 2 / 2, and a window
    ("STFT", ((2, 8, 1), scalar(2), None, scalar(4)), {}, "fft", 0, 2 * 3 * 20),
    ("STFT", ((2, 8, 1), scalar(2), floats(1, 2, 2, 1)), {}, "composite", 0, 2 * 3 * (20 + 4)),
    # windows of 2 x 2: 96 outputs
    ("MaxPool", (IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2]}, "max_pool", 0, 96 * 3),
    ("MaxPool", (IMAGE,), {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, "max_pool", 0, PIXELS * 8),
    ("AveragePool", (IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2]}, "avg_pool", 0, 96 * 4),
    ("AveragePool", (IMAGE,), {"kernel_shape": [6, 8]}, "global_avg_pool", 0, PIXELS),
    # four powers, three additions and a root
    ("LpPool", (IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2]}, "composite", 0, 96 * 8),
    ("GlobalAveragePool", (IMAGE,), {}, "global_avg_pool", 0, PIXELS),
    ("GlobalMaxPool", (IMAGE,), {}, "adaptive_max_pool", 0, PIXELS - 8),
    ("GlobalLpPool", (IMAGE,), {}, "composite", 0, 2 * PIXELS),
    ("MaxUnpool", (IMAGE, IMAGE), {"kernel_shape": [2, 2], "strides": [2, 2]}, "scatter", 0, 0),
    ("Upsample", (IMAGE,), {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear", "opset": 7}, "interpolate", 0, 4 * PIXELS * 7),
    ("Upsample", (IMAGE, floats(1, 1, 2, 2)), {"opset": 9}, "interpolate", 0, 0),
    ("Resize", (IMAGE, floats(1, 1, 2, 2)), {"mode": "linear", "opset": 10}, "interpolate", 0, 4 * PIXELS * 7),
    ("Resize", (IMAGE, None, floats(1, 1, 1, 2)), {"mode": "linear"}, "interpolate", 0, 2 * PIXELS * 3),
    ("Resize", (IMAGE, None, floats(1, 1, 2, 2)), {"mode": "cubic"}, "interpolate", 0, 4 * PIXELS * 31),
    # half the size: a linear window reaches 2 pixels each way, 4 x 4 in all
    ("Resize", (IMAGE, None, floats(1, 1, 0.5, 0.5)), {"mode": "linear", "antialias": 1}, "interpolate", 0, 96 * 31),
    ("GridSample", (IMAGE, (2, 3, 3, 2)), {"mode": "cubic"}, "grid_sample", 0, 72 * 31),
    ("GridSample", (IMAGE, (2, 3, 3, 2)), {"mode": "bilinear", "opset": 16}, "grid_sample", 0, 72 * 7),
    # 2 x 2 samples of 4 neighbours
    ("RoiAlign", (IMAGE, (3, 4), (3,)), {"output_height": 2, "output_width": 2, "sampling_ratio": 2}, "roi_align", 0, 48 * 31),
    ("DepthToSpace", (IMAGE,), {"blocksize": 2}, "shuffle", 0, 0),
    ("SpaceToDepth", (IMAGE,), {"blocksize": 2}, "shuffle", 0, 0),
    # 2 x 16 x 12 elements are added
    ("Col2Im", ((2, 16, 12), whole(6, 8), whole(2, 2)), {"strides": [2, 2]}, "scatter_add", 0, PIXELS),
    ("AffineGrid", ((2, 2, 3), whole(2, 3, 4, 5)), {}, "affine_grid", 2 * 40 * 3, 4 * 40 * 3),
    ("Conv", (IMAGE, (6, 4, 3, 3)), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, "conv", 144 * 36, 2 * 144 * 36),
    # each of 384 elements is spread over 6 channels of 2 x 2
    ("ConvTranspose", (IMAGE, (4, 6, 2, 2), (6,)), {"strides": [2, 2]}, "conv", PIXELS * 24, 2 * PIXELS * 24 + 2304),
    # 3 x 3 samples of 4 channels for each of 2 x 4 x 6 pixels: 7 flops, and one for the mask
    ("DeformConv", (IMAGE, (6, 4, 3, 3), (2, 18, 4, 6)), {}, "deform_conv", 288 * 36, 2 * 288 * 36 + 48 * 36 * 7),
    (
        "DeformConv", (IMAGE, (6, 4, 3, 3), (2, 18, 4, 6), (6,), (2, 9, 4, 6)), {}, "deform_conv",
        288 * 36, 2 * 288 * 36 + 48 * 36 * 8 + 288,
    ),
    ("Gemm", ((3, 4), (4, 5)), {}, "matmul", 60, 120),
    ("Gemm", ((4, 3), (5, 4), (3, 5)), {"transA": 1, "transB": 1, "alpha": 2.0, "beta": 3.0}, "matmul", 60, 120 + 3 * 15),
    ("Gemm", ((3, 4), floats(*range(20)).reshape(4, 5), floats(*range(5))), {}, "linear", 60, 120 + 15),
    ("BatchNormalization", (IMAGE, (4,), (4,), (4,), (4,)), {"opset": 9}, "batch_norm", 0, 2 * PIXELS),
    ("BatchNormalization", (IMAGE, (4,), (4,), (4,), (4,)), {"training_mode": 1, "outputs": 3}, "batch_norm_training", 0, 7 * PIXELS),
    ("InstanceNormalization", (IMAGE, floats(1, 2, 1, 1), floats(0, 0, 0, 1)), {}, "instance_norm", 0, 7 * PIXELS),
    # the operator requires a scale and a shift; an exporter makes up ones and zeros
    ("InstanceNormalization", (IMAGE, floats(1, 1, 1, 1), floats(0, 0, 0, 0)), {}, "instance_norm", 0, 5 * PIXELS),
    ("GroupNormalization", (IMAGE, (4,), (4,)), {"num_groups": 2}, "group_norm", 0, 7 * PIXELS),
    ("LayerNormalization", (IMAGE, (8,)), {}, "layer_norm", 0, 6 * PIXELS),
    ("RMSNormalization", (IMAGE, (8,)), {}, "rms_norm", 0, 4 * PIXELS),
    ("MeanVarianceNormalization", (IMAGE,), {}, "batch_norm_training", 0, 5 * PIXELS),
    ("MeanVarianceNormalization", (IMAGE,), {"axes": [2, 3]}, "instance_norm", 0, 5 * PIXELS),
    # square, add, divide
    ("LpNormalization", (IMAGE,), {}, "composite", 0, 3 * PIXELS),
    # 2 sequences of 5 queries and 7 keys, 3 heads of 4: 2 x 5 x 7 x (12 + 12) macs, 7 flops per score: scale, softmax, mask
    (
        "Attention", ((2, 5, 12), (2, 7, 12), (2, 7, 12), (5, 7)), {"q_num_heads": 3, "kv_num_heads": 3}, "attention",
        1680, 2 * 1680 + 7 * 210,
    ),
    # as above, with 1 head of keys, 2 of them from a cache, and a soft cap: 9 flops per score
    (
        "Attention", ((2, 3, 5, 4), (2, 1, 5, 4), (2, 1, 5, 4), None, (2, 1, 2, 4), (2, 1, 2, 4)),
        {"softcap": 2.0, "outputs": 3}, "attention", 1680, 2 * 1680 + 9 * 210,
    ),
    # 6 steps, weights of 12 x 4 and 12 x 3, 24 biases, 3 units of 22 flops
    ("LSTM", ((3, 2, 4), (1, 12, 4), (1, 12, 3), (1, 24)), {"hidden_size": 3}, "lstm", 6 * 84, 12 * 84 + 6 * (24 + 66)),
    # and a peephole of 9 weights
    (
        "LSTM", ((3, 2, 4), (1, 12, 4), (1, 12, 3), None, None, None, None, (1, 9)), {"hidden_size": 3}, "lstm",
        6 * 93, 12 * 93 + 6 * 66,
    ),
    # both directions have weights of 9 x 4 and 9 x 3, 18 biases, 3 units of 17 flops
    (
        "GRU", ((3, 2, 4), (2, 9, 4), (2, 9, 3), (2, 18)), {"hidden_size": 3, "direction": "bidirectional"}, "gru",
        12 * 63, 24 * 63 + 12 * (18 + 51),
    ),
    # 3 x 2 sets of 5 boxes: 10 pairs of 13 flops, 5 boxes of 3 + 3
    ("NonMaxSuppression", ((3, 5, 4), (3, 2, 5)), {"shape": (9, 3)}, "non_maximum_suppression", 0, 6 * (130 + 30)),
    ("Transpose", (IMAGE,), {"perm": [0, 2, 3, 1]}, "copy", 0, 0),
    ("Split", (IMAGE, whole(1, 3)), {"axis": 1, "outputs": 2}, "copy", 0, 0),
    ("Split", (IMAGE,), {"axis": 1, "split": [1, 3], "outputs": 2, "opset": 11}, "copy", 0, 0),
    ("Expand", ((1, 4), whole(3, 4)), {}, "copy", 0, 0),
    ("Tile", ((1, 4), whole(3, 1)), {}, "repeat", 0, 0),
    ("Concat", (IMAGE, IMAGE), {"axis": 1}, "cat", 0, 0),
    ("Pad", (IMAGE, whole(0, 0, 1, 1, 0, 0, 1, 1)), {"mode": "edge"}, "pad", 0, 0),
    ("Pad", (IMAGE,), {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "opset": 10}, "pad", 0, 0),
    ("CenterCropPad", (IMAGE, whole(2, 4, 4, 4)), {}, "pad", 0, 0),
    ("ReverseSequence", ((5, 3), (3,)), {}, "flip", 0, 0),
    ("GatherElements", (IMAGE, IMAGE), {}, "gather", 0, 0),
    ("GatherND", (IMAGE, (3, 2)), {}, "gather", 0, 0),
    ("OneHot", ((3,), scalar(5), floats(0, 1)), {}, "scatter", 0, 0),
    ("ScatterND", (IMAGE, (3, 1), (3, 4, 6, 8)), {}, "scatter", 0, 0),
    ("ScatterND", (IMAGE, (3, 1), (3, 4, 6, 8)), {"reduction": "add"}, "scatter_add", 0, 3 * 192),
    ("TensorScatter", (IMAGE, (2, 4, 3, 8), (2,)), {"opset": 24}, "scatter", 0, 0),
    # a softmax (5) of 384 elements; 96 targets are negated and added, and their sum is divided
    ("SoftmaxCrossEntropyLoss", (IMAGE, (2, 6, 8)), {}, "composite", 0, 5 * PIXELS + 2 * 96),
    # 2 x 4 x 5 outputs of 3 products each, then a silu of 5 flops
    ("CausalConvWithState", ((2, 4, 5), (4, 1, 3)), {"activation": "silu", "opset": 27, "outputs": 2}, "conv", 120, 240 + 5 * 40),
]  # fmt: skip


@pytest.mark.parametrize("case", NODES, ids=[f"{number} {case[0]}" for number, case in enumerate(NODES)])
def test_nodes_by_hand(case: Case) -> None:
    """A node has the kind, macs and flops of the arithmetic in the comment above the case."""
    operator, inputs, attributes, kind, macs, flops = case
    if not has(operator) or attributes.get("opset", 0) > onnx_opset_version():
        pytest.skip("the installed onnx does not know the operator")
    (row,) = node_rows(operator, *inputs, **attributes)
    assert (kind, macs, flops) == (row.op.kind, row.cost.macs, row.cost.flops)


def test_local_response_norm() -> None:
    """The node has the flops of the operators that PyTorch runs."""
    (row,) = node_rows("LRN", IMAGE, size=3)
    assert row.cost.flops == mbanalyze.count(nn.LocalResponseNorm(3), IMAGE).totals.flops


def test_a_slice_reads_its_own_elements() -> None:
    """Every second row of columns 1 to 4 is 2 x 4 x 3 x 4 elements, 16 apart."""
    (row,) = node_rows("Slice", IMAGE, whole(0, 1), whole(6, 5), whole(2, 3), whole(2, 1))
    assert (row.op.kind, row.cost.reads, row.cost.writes) == ("copy", 96, 96)
    assert row.op.operands[0].strides == (192, 48, 16, 1)


def test_a_gather_reads_its_own_elements() -> None:
    """Two of 4 channels are 192 elements; the index is read too if it is no constant number."""
    (rows_of_table,) = node_rows("Gather", IMAGE, whole(0, 2), axis=1)
    (one,) = node_rows("Gather", IMAGE, scalar(1), axis=1)
    assert (rows_of_table.cost.reads, one.cost.reads) == (192 + 2, 96)


def test_work_that_depends_on_values_is_unknown() -> None:
    """The samples of a region of unknown size, and an operator of strings, have no counts."""
    (adaptive,) = node_rows("RoiAlign", IMAGE, (3, 4), whole(0, 0, 1), output_height=2, output_width=2)
    assert (adaptive.op.kind, adaptive.cost.flops) == ("onnx::RoiAlign", None)


def test_allocations_are_free() -> None:
    """An identity matrix is no operator."""
    assert not node_rows("EyeLike", (5, 5), dtype=TensorProto.FLOAT)


def test_every_kind_has_a_formula() -> None:
    """The kinds of the tests by hand are those of formulas."""
    assert {kind for *_, kind, _, _ in NODES} <= set(FORMULAS)
