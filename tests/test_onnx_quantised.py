"""Quantised nodes of ONNX are counted like those of floating-point numbers, at their own item sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_graphs import graph, model, node, saved, value, zeros

from mbanalyze import Report, count
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph

SETTINGS = [
    zeros("s"),
    zeros("other"),
    zeros("z", dtype="int8"),
    zeros("u", dtype="uint8"),
    zeros("z32", dtype="int32"),
]
"""Scales and zero points."""


def counted(folder: Path, nodes: Sequence[NodeProto], *stored: TensorProto, **more: Any) -> Report:
    """Return the report of a file with an input `x` of 1 x 3 x 8 x 8 and an output `y`."""
    return count(saved(folder, model(nodes, stored=[*SETTINGS, *stored], **more)))


def quantised(source: str, target: str, scale: str = "s", **more: Any) -> NodeProto:
    """Return a quantisation to int8."""
    return node("QuantizeLinear", [source, scale, "z"], [target], **more)


def read(source: str, target: str, scale: str = "s", zero: str = "z", **more: Any) -> NodeProto:
    """Return a dequantisation."""
    return node("DequantizeLinear", [source, scale, zero], [target], **more)


def pair(source: str, target: str) -> list[NodeProto]:
    """Return a quantisation and its reverse."""
    return [quantised(source, f"{target}_q"), read(f"{target}_q", target)]


def microsoft(operator: str, inputs: Sequence[str], **attributes: Any) -> NodeProto:
    """Return a node of ONNX Runtime that writes `y`."""
    return node(operator, inputs, ["y"], domain="com.microsoft", **attributes)


def kinds(report: Report) -> list[str]:
    """Return the kind of each row."""
    return [row.op.kind for row in report.rows]


def written(report: Report) -> list[int | None]:
    """Return the item size of what each row writes."""
    return [row.op.output[0].itemsize for row in report.rows]


WEIGHT = zeros("w", 4, 3, 3, 3, dtype="int8")
BIAS = zeros("b", 4, dtype="int32")
LAYER = [
    read("w", "w_f"),
    read("b", "b_f", zero="z32"),
    node("Conv", ["h", "w_f", "b_f"], ["c"], pads=[1] * 4),
]
"""A 3 x 3 convolution from 3 channels to 4."""

MACS = 4 * 3 * 9 * 64
"""Its macs on 8 x 8 pixels."""


class TestPairs:
    """Pairs of QuantizeLinear and DequantizeLinear."""

    def test_convolution(self, tmp_path: Path) -> None:
        """A convolution between pairs reads and writes int8; the first and last node of the network stay."""
        report = counted(tmp_path, [*pair("x", "h"), *LAYER, *pair("c", "y")], WEIGHT, BIAS)
        assert kinds(report) == ["quantize", "conv", "dequantize"]
        assert report.totals.macs == MACS
        assert report.totals.params == 108 + 4
        assert report.totals.params_bytes() == 108 + 4 * 4
        # quantize 192 floats; read 192 + 108 bytes and 4 biases, write 256; dequantize 256
        expected = (192 * 4 + 192) + (192 + 108 + 4 * 4 + 256) + (256 + 256 * 4)
        assert report.totals.memory_access_bytes() == expected
        assert report.complete

    def test_scales_of_channels(self, tmp_path: Path) -> None:
        """The scales of the channels of a weight are settings: neither read, nor params, nor unused."""
        scaled = [read("w", "w_f", "scales", "zeros", axis=0), node("Conv", ["h", "w_f"], ["y"])]
        more = [zeros("scales", 4), zeros("zeros", 4, dtype="int8")]
        report = counted(tmp_path, [*pair("x", "h"), *scaled], WEIGHT, *more)
        assert report.totals.params == 108
        assert report.unused_params == ()
        assert [operand.role for operand in report.rows[1].op.operands] == ["activation", "weight"]

    def test_activation(self, tmp_path: Path) -> None:
        """An activation writes the quantised tensor; the engine of a device has no other one."""
        nodes = [*pair("x", "h"), *LAYER, node("Relu", ["c"], ["r"]), quantised("r", "y")]
        report = counted(tmp_path, nodes, WEIGHT, BIAS, outputs=[value("y", type=TensorProto.INT8)])
        assert kinds(report) == ["quantize", "conv", "relu"]
        assert written(report) == [1, None, 1]
        # the input as floats and as bytes; the image and its convolution are 192 + 256 bytes
        assert report.peak_bytes("deployed") == 192 * 4 + 192

    def test_residual(self, tmp_path: Path) -> None:
        """A sum reads and writes int8, and so does its other operand."""
        nodes = [*pair("x", "h"), node("Relu", ["h"], ["r"]), *pair("r", "t")]
        nodes += [node("Add", ["t", "h"], ["a"]), *pair("a", "e"), node("Relu", ["e"], ["y"])]
        report = counted(tmp_path, nodes)
        assert kinds(report) == ["quantize", "relu", "add", "relu"]
        assert written(report) == [1, 1, 1, None]
        assert [operand.itemsize for operand in report.rows[2].op.operands] == [1, 1]

    def test_other_readers(self, tmp_path: Path) -> None:
        """A quantisation stays if another node reads the floating-point tensor too."""
        nodes = [node("Relu", ["x"], ["r"]), *pair("r", "h"), node("Add", ["r", "h"], ["y"])]
        report = counted(tmp_path, nodes)
        assert kinds(report) == ["relu", "quantize", "add"]
        assert written(report) == [None, 1, None]

    def test_returned(self, tmp_path: Path) -> None:
        """A quantisation stays if the network returns the floating-point tensor too."""
        nodes = [node("Relu", ["x"], ["y"]), *pair("y", "h"), node("Relu", ["h"], ["e"])]
        report = counted(tmp_path, nodes, outputs=["y", "e"])
        assert kinds(report) == ["relu", "quantize", "relu"]

    @pytest.mark.parametrize(("scale", "expected"), [("s", ["quantize"]), ("unequal", ["quantize"] * 2)])
    def test_reshapes(self, tmp_path: Path, scale: str, expected: list[str]) -> None:
        """A tensor that is reshaped between pairs is quantised again only if its scale differs."""
        nodes = [
            *pair("x", "h"),
            node("Flatten", ["h"], ["f"]),
            quantised("f", "g", scale),
            read("g", "t", scale),
        ]
        unequal = helper.make_tensor("unequal", TensorProto.FLOAT, [], [0.5])
        report = counted(tmp_path, [*nodes, node("Relu", ["t"], ["y"])], unequal)
        assert kinds(report) == [*expected, "relu"]

    def test_moves(self, tmp_path: Path) -> None:
        """Pooling, concatenation and transposition between pairs move bytes."""
        nodes = [
            *pair("x", "h"),
            node("MaxPool", ["h"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
            *pair("m", "n"),
            node("Concat", ["n", "n"], ["c"], axis=1),
            *pair("c", "d"),
            node("Transpose", ["d"], ["t"], perm=[0, 2, 3, 1]),
            *pair("t", "y"),
        ]
        report = counted(tmp_path, nodes)
        assert written(report)[:4] == [1] * 4

    def test_depthwise_block(self, tmp_path: Path) -> None:
        """The peak on a device of an inverted residual is a quarter of that of floating-point numbers."""
        stored = [
            zeros("w1", 18, 3, 1, 1, dtype="int8"),
            zeros("w2", 18, 1, 3, 3, dtype="int8"),
            zeros("w3", 3, 18, 1, 1, dtype="int8"),
        ]
        nodes = [read(f"w{i}", f"f{i}") for i in (1, 2, 3)]
        nodes += [
            read("x", "h"),
            node("Conv", ["h", "f1"], ["a"]),
            node("Relu", ["a"], ["a_r"]),
            *pair("a_r", "b"),
        ]
        nodes += [node("Conv", ["b", "f2"], ["c"], group=18, pads=[1] * 4), *pair("c", "d")]
        nodes += [node("Conv", ["d", "f3"], ["e"]), *pair("e", "g"), node("Add", ["g", "h"], ["i"])]
        nodes += [quantised("i", "y")]
        bytes_ = TensorProto.INT8
        inner = graph(
            nodes, [value("x", (1, 3, 8, 8), bytes_)], [value("y", type=bytes_)], [*SETTINGS, *stored]
        )
        file = saved(tmp_path, helper.make_model(inner, opset_imports=[helper.make_opsetid("", 20)]))
        report = count(file)
        # the input stays until the sum; the depthwise convolution overwrites 18 x 64, which the last one reads
        assert report.peak_bytes("deployed") == 3 * 64 + 18 * 64 + 3 * 64
        assert report.totals.macs == 64 * (3 * 18 + 18 * 9 + 18 * 3)


class TestConstants:
    """Weights in quantised types."""

    def test_quantised_by_nodes(self, tmp_path: Path) -> None:
        """A floating-point weight that a node quantises takes a byte for each element."""
        nodes = [*pair("w", "f"), node("Conv", ["x", "f"], ["y"])]
        report = counted(tmp_path, nodes, zeros("w", 4, 3, 3, 3))
        assert kinds(report) == ["conv"]
        assert report.totals.params_bytes() == report.totals.params == 108
        assert report.unused_params == ()

    def test_transposed(self, tmp_path: Path) -> None:
        """A weight that is transposed after its dequantisation still takes a byte for each element."""
        nodes = [read("w", "f"), node("Transpose", ["f"], ["t"]), node("MatMul", ["x", "t"], ["y"])]
        report = counted(tmp_path, nodes, zeros("w", 5, 8, dtype="int8"))
        assert kinds(report) == ["linear"]
        assert report.totals.params_bytes() == report.totals.params == 40

    def test_added(self, tmp_path: Path) -> None:
        """A quantised constant that is added is learned, like one of floating-point numbers."""
        nodes = [read("position", "f"), node("Add", ["x", "f"], ["y"])]
        report = counted(tmp_path, nodes, zeros("position", 8, 8, dtype="int8"))
        assert report.totals.params_bytes() == report.totals.params == 64

    @pytest.mark.parametrize("name", ["INT4", "UINT4", "FLOAT8E4M3FN", "FLOAT8E5M2"])
    def test_small_types(self, tmp_path: Path, name: str) -> None:
        """An element of 8 bits takes a byte, and so does one of 4 bits here, which a note says."""
        type = getattr(TensorProto, name)
        weight = helper.make_tensor("w", type, (8, 6), bytes(24 if "4" in name[-2:] else 48), raw=True)
        nodes = [node("DequantizeLinear", ["w", "s"], ["f"]), node("MatMul", ["x", "f"], ["y"])]
        settings = [value("x", (1, 3, 8, 8))]
        inner = graph(nodes, settings, ["y"], [zeros("s"), weight])
        report = count(saved(tmp_path, helper.make_model(inner, opset_imports=[helper.make_opsetid("", 23)])))
        assert report.totals.params_bytes() == report.totals.params == 48
        assert report.dtype == "float32"
        packed = [note for note in report.notes if "less than a byte" in note]
        assert packed == (
            ["elements of less than a byte, which are counted as a byte each: 48"] if "INT4" in name else []
        )


class TestIntegerProducts:
    """Products of ONNX whose operands are integers."""

    def test_convolution(self, tmp_path: Path) -> None:
        """`QLinearConv` has the macs of a convolution, and writes bytes."""
        inputs = ["h", "s", "z", "w", "s", "z", "s", "z", "b"]
        nodes = [quantised("x", "h"), node("QLinearConv", inputs, ["c"], pads=[1] * 4), read("c", "y")]
        report = counted(tmp_path, nodes, WEIGHT, BIAS)
        assert kinds(report) == ["quantize", "conv", "dequantize"]
        assert report.totals.macs == MACS
        assert report.totals.params_bytes() == 108 + 4 * 4
        assert written(report) == [1, 1, None]

    def test_integer_convolution(self, tmp_path: Path) -> None:
        """`ConvInteger` writes sums of four bytes; a dynamic quantisation writes a scale and a zero point too."""
        nodes = [
            node("DynamicQuantizeLinear", ["x"], ["h", "h_s", "h_z"]),
            node("ConvInteger", ["h", "w", "h_z", "z"], ["c"], pads=[1] * 4),
            node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
            node("Mul", ["f", "h_s"], ["y"]),
        ]
        report = counted(tmp_path, nodes, WEIGHT)
        assert kinds(report) == ["quantize_dynamically", "conv", "copy", "mul"]
        assert report.totals.macs == MACS
        assert written(report) == [1, 4, None, None]
        # 192 bytes, a scale of 4 bytes and a zero point of one
        assert [v.itemsize for v in report.rows[0].op.output] == [1, None, 1]
        assert report.rows[0].cost.memory_access_bytes() == 192 * 4 + 192 + 4 + 1

    @pytest.mark.parametrize("operator", ["QLinearMatMul", "MatMulInteger"])
    def test_matrices(self, tmp_path: Path, operator: str) -> None:
        """A product of a tensor and a stored matrix is a linear layer."""
        inputs = (
            ["h", "s", "z", "w", "s", "z", "s", "z"] if operator == "QLinearMatMul" else ["h", "w", "z", "z"]
        )
        nodes = [quantised("x", "h"), node(operator, inputs, ["m"])]
        type = TensorProto.INT8 if operator == "QLinearMatMul" else TensorProto.INT32
        weight = zeros("w", 8, 5, dtype="int8")
        report = counted(tmp_path, nodes, weight, outputs=[value("m", type=type)])
        assert kinds(report) == ["quantize", "linear"]
        assert report.totals.macs == 3 * 8 * 8 * 5
        assert report.totals.params_bytes() == 40


TWO = ["h", "s", "z", "h", "s", "z", "s", "z"]
ONE = ["h", "s", "z", "s", "z"]

CONTRIB: list[tuple[str, list[str], dict[str, Any], str, tuple[int, ...], int]] = [
    ("QLinearAdd", TWO, {}, "add", (1, 3, 8, 8), 0),
    ("QLinearMul", TWO, {}, "mul", (1, 3, 8, 8), 0),
    ("QLinearSigmoid", ONE, {}, "sigmoid", (1, 3, 8, 8), 0),
    ("QLinearLeakyRelu", ONE, {}, "leaky_relu", (1, 3, 8, 8), 0),
    ("QLinearSoftmax", ONE, {}, "softmax", (1, 3, 8, 8), 0),
    ("QLinearGlobalAveragePool", ONE, {}, "global_avg_pool", (1, 3, 1, 1), 0),
    ("QLinearGlobalAveragePool", ONE, {"channels_last": 1}, "global_avg_pool", (1, 1, 1, 8), 0),
    ("QLinearAveragePool", ONE, {"kernel_shape": [2, 2]}, "avg_pool", (1, 3, 7, 7), 0),
    ("QLinearAveragePool", ONE, {"kernel_shape": [8, 8]}, "global_avg_pool", (1, 3, 1, 1), 0),
    ("QLinearReduceMean", ONE, {"axes": [2, 3], "keepdims": 0}, "mean", (1, 3), 0),
    ("QLinearConcat", ["s", "z", "h", "s", "z", "h", "s", "z"], {"axis": 1}, "cat", (1, 6, 8, 8), 0),
    ("NhwcMaxPool", ["h"], {"kernel_shape": [2, 2], "strides": [1, 2]}, "max_pool", (1, 2, 4, 8), 0),
    (
        "QGemm",
        ["rows", "s", "z", "m", "s", "z", "b5", "s", "z"],
        {"transB": 1},
        "linear",
        (24, 5),
        24 * 8 * 5,
    ),
    ("QuantizeLinear", ["x", "s", "z"], {}, "quantize", (1, 3, 8, 8), 0),
]
"""An operator of ONNX Runtime, its inputs and attributes; its kind, the shape of its output, and its macs."""


class TestOperatorsOfOnnxRuntime:
    """Operators that ONNX does not define."""

    @pytest.mark.parametrize(("operator", "inputs", "attributes", "kind", "shape", "macs"), CONTRIB)
    def test_quantised(
        self,
        tmp_path: Path,
        operator: str,
        inputs: list[str],
        attributes: dict[str, Any],
        kind: str,
        shape: tuple[int, ...],
        macs: int,
    ) -> None:
        """A quantised operator has the kind and shape of the one that it quantises, and writes bytes."""
        sizes = helper.make_tensor("sizes", TensorProto.INT64, [2], [24, 8])
        nodes = [
            quantised("x", "h"),
            node("Reshape", ["h", "sizes"], ["rows"]),
            microsoft(operator, inputs, **attributes),
        ]
        stored = [sizes, zeros("m", 5, 8, dtype="int8"), zeros("b5", 5, dtype="int32")]
        report = counted(tmp_path, nodes, *stored, outputs=[value("y", type=TensorProto.INT8)])
        op = report.rows[-1].op
        assert (op.kind, op.output[0].shape, op.output[0].itemsize) == (kind, shape, 1)
        assert report.totals.macs == macs
        assert report.totals.params == (45 if operator == "QGemm" else 0)
        assert report.complete

    @pytest.mark.parametrize(
        ("operator", "inputs"),
        [
            ("DynamicQuantizeMatMul", ["x", "m", "s", "z", "bias"]),
            ("MatMulIntegerToFloat", ["h", "m", "s", "s", "z", "z", "bias"]),
        ],
    )
    def test_products(self, tmp_path: Path, operator: str, inputs: list[str]) -> None:
        """A product of bytes that writes floating-point numbers is a linear layer with a bias."""
        stored = [zeros("m", 8, 5, dtype="int8"), zeros("bias", 5)]
        report = counted(tmp_path, [quantised("x", "h"), microsoft(operator, inputs)], *stored)
        assert kinds(report)[-1] == "linear"
        assert report.totals.macs == 24 * 8 * 5
        assert report.totals.params == 45
        assert report.totals.params_bytes() == 40 + 5 * 4

    def test_packed(self, tmp_path: Path) -> None:
        """A packed weight counts its elements."""
        # 16 rows of 8 columns: a block of 16 elements takes 8 bytes
        packed = microsoft("MatMulNBits", ["x", "m", "scales"], K=8, N=16, bits=4, block_size=16)
        report = counted(tmp_path, [packed], zeros("m", 16, 1, 8, dtype="uint8"), zeros("scales", 16))
        assert report.totals.macs == 24 * 8 * 16
        assert report.totals.params == 8 * 16
        assert report.unused_params == ()
        assert report.notes[-1] == "elements of less than a byte, which are counted as a byte each: 128"

    def test_fused_convolution(self, tmp_path: Path) -> None:
        """A convolution with a tensor that is added before its activation has the flops of all three."""
        fused = microsoft("FusedConv", ["x", "w", "b", "x"], activation="Relu", pads=[1] * 4)
        report = counted(tmp_path, [fused], zeros("w", 3, 3, 3, 3), zeros("b", 3))
        macs = 3 * 3 * 9 * 64
        # a bias, a tensor and a comparison for each of 192 elements
        assert (report.totals.macs, report.totals.flops) == (macs, 2 * macs + 3 * 192)

    def test_fused_product(self, tmp_path: Path) -> None:
        """A product of a tensor and its transpose has the macs of both shapes, and a scale."""
        report = counted(tmp_path, [microsoft("FusedMatMul", ["x", "x"], transB=1, alpha=0.5)])
        macs = 3 * 8 * 8 * 8
        assert (report.totals.macs, report.totals.flops) == (macs, 2 * macs + 3 * 64)

    def test_fused_product_of_batches(self, tmp_path: Path) -> None:
        """A product whose rows are before its batches has the macs of the product in order."""
        nodes = [microsoft("FusedMatMul", ["x", "x"], transBatchA=1, transBatchB=1, transB=1)]
        report = counted(tmp_path, nodes, sizes=(7, 5, 3))
        # 5 products of 7 x 3 and 3 x 7
        assert report.rows[0].op.output[0].shape == (5, 7, 7)
        assert (report.totals.macs, report.totals.reads) == (5 * 7 * 3 * 7, 2 * 7 * 5 * 3)

    @pytest.mark.parametrize(
        ("operator", "inputs", "flops"),
        [
            *(("Gelu", ["x"], 5), ("BiasGelu", ["x", "v"], 6), ("FastGelu", ["x"], 9)),
            *(
                ("FastGelu", ["x", "v"], 10),
                ("QuickGelu", ["x"], 6),
                ("LayerNormalization", ["x", "v", "v"], 7),
            ),
            # five of the norm, one each for the sum, the scale and the shift, and one for a bias
            *(
                ("SkipLayerNormalization", ["x", "x", "v", "v2"], 8),
                ("SimplifiedLayerNormalization", ["x", "v"], 4),
            ),
            ("SkipLayerNormalization", ["x", "x", "v", "v2", "v3"], 9),
        ],
    )
    def test_floating_point(self, tmp_path: Path, operator: str, inputs: list[str], flops: int) -> None:
        """An operator of several steps has the flops of all of them."""
        report = counted(
            tmp_path, [microsoft(operator, inputs)], *(zeros(name, 8) for name in ("v", "v2", "v3"))
        )
        assert report.totals.flops == flops * 192
        assert report.totals.params == 8 * len(set(inputs) - {"x"})

    def test_unknown(self, tmp_path: Path) -> None:
        """An operator of known shape and unknown work is listed; one of unknown shape is an error."""
        weight, bias = zeros("m", 8, 24), zeros("b", 24)
        report = counted(
            tmp_path, [microsoft("Attention", ["x", "m", "b"], num_heads=2)], weight, bias, sizes=(1, 3, 8)
        )
        assert [each.operator for each in report.uncounted] == ["com.microsoft::Attention"]
        with pytest.raises(ModelFileError, match=r"Mystery\) writes is unknown"):
            counted(tmp_path, [microsoft("Mystery", ["x"])])


def test_sizes_follow_the_input() -> None:
    """The shape of an operator of ONNX Runtime follows the input, whatever batch the file was made with."""
    described = value("t", (1, 3, 8, 8), TensorProto.INT8)
    nodes = [quantised("x", "h"), node("QLinearAdd", TWO, ["t"], domain="com.microsoft"), read("t", "y")]
    inner = graph(nodes, [value("x", ("n", 3, 8, 8))], ["y"], SETTINGS)
    inner.value_info.append(described)
    content = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 20)])
    ops = OnnxGraph("m.onnx", content).record([(5, 3, 8, 8)]).ops
    assert [op.output[0].shape for op in ops] == [(5, 3, 8, 8)] * 3
