"""The parameters and paths of a graph follow the names that PyTorch's exporters write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_graphs import constant, graph, model, node, saved, value, zeros

from mbanalyze import Report, count

SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"


def listed(folder: Path, nodes: list[NodeProto], stored: list[TensorProto], *lines: str) -> Report:
    """Return the report of a file that lists the parameters and buffers of its module."""
    content = model(nodes, (1, 4, 8, 8), stored)
    content.graph.metadata_props.add(key=SIGNATURE, value="\n".join(lines))
    return count(saved(folder, content))


def scoped(operator: str, inputs: list[str], output: str, *modules: str) -> NodeProto:
    """Return a node in modules, as the exporter of `torch.export` writes it."""
    found = node(operator, inputs, [output])
    found.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=repr(["", *modules, "call"]))
    return found


class TestSignature:
    """The exporter of `torch.export` lists the parameters and buffers of the module."""

    @pytest.mark.parametrize(
        ("name", "line", "params"),
        [
            ("scale", "p_scale: PARAMETER target='scale'", 8),
            ("scale", "b_scale: BUFFER target='scale' persistent=True", 0),
            ("linspace", "p_other: PARAMETER target='other'", 0),
            ("expand", "p_token: PARAMETER target='token'", 8),
            ("block.scale_quantized", "p_scale: PARAMETER target='block.scale'", 8),
        ],
    )
    def test_elementwise(self, tmp_path: Path, name: str, line: str, params: int) -> None:
        """A listed parameter is learned. A buffer is not, and neither is a tensor with the name of an operator."""
        report = listed(tmp_path, [node("Add", ["x", name], ["y"])], [zeros(name, 8)], line)
        assert params == report.totals.params

    def test_a_buffer_as_the_weight_of_a_product(self, tmp_path: Path) -> None:
        """A blur has a stored kernel: 2 x 2 x 4 x 7 x 7 macs, and no params."""
        blur = node("Conv", ["x", "blur.kernel"], ["y"], group=4)
        report = listed(
            tmp_path, [blur], [zeros("blur.kernel", 4, 1, 2, 2)], "b: BUFFER target='blur.kernel'"
        )
        assert report.totals.macs == 2 * 2 * 4 * 7 * 7
        assert report.totals.params == 0


class TestPaths:
    """The paths of modules that are called in unusual ways."""

    def test_tied_weights(self, tmp_path: Path) -> None:
        """Two modules with one weight keep their paths."""
        nodes = [
            scoped("Conv", ["x", "second.weight"], "h", "first"),
            scoped("Conv", ["h", "second.weight"], "y", "second"),
        ]
        report = count(saved(tmp_path, model(nodes, stored=[zeros("second.weight", 3, 3, 1, 1)])))
        assert [row.op.path for row in report.rows] == ["first", "second"]

    def test_node_without_scopes(self, tmp_path: Path) -> None:
        """A node that a rewrite left without scopes is in the modules that the nodes around it share."""
        nodes = [
            scoped("Relu", ["x"], "h", "block", "block.attn", "block.attn.qkv"),
            node("Sigmoid", ["h"], ["g"], name="node_Sigmoid_7"),
            scoped("Tanh", ["g"], "y", "block", "block.attn"),
        ]
        report = count(saved(tmp_path, model(nodes)))
        assert [row.op.path for row in report.rows] == ["block.attn.qkv", "block.attn", "block.attn"]

    def test_damaged_scopes(self, tmp_path: Path) -> None:
        """Scopes with an unknown escape are no scopes, without a warning: a path is then the name of the node."""
        relu = scoped("Relu", ["x"], "y", "block")
        relu.name, relu.metadata_props[0].value = "relu_1", r"['\d', '']"
        report = count(saved(tmp_path, model([relu])))
        assert [row.op.path for row in report.rows] == ["relu_1"]

    @pytest.mark.parametrize(
        ("name", "weight", "path"),
        [
            ("/fc/Conv", "head.fc.weight", "head.fc"),
            ("/stem/stem.conv_1/Conv", "stem.conv.weight", "stem.conv"),
            ("/second/conv/Conv", "first.conv.weight", "second.conv"),
            ("/Conv", "head.fc.weight", ""),
        ],
    )
    def test_called_from_elsewhere(self, tmp_path: Path, name: str, weight: str, path: str) -> None:
        """The weight tells the module of a node that a module further out calls, or that is called again."""
        conv = node("Conv", ["x", weight], ["y"], name=name)
        report = count(saved(tmp_path, model([conv], stored=[zeros(weight, 3, 3, 1, 1)])))
        assert report.rows[0].op.path == path


class TestStoredAgain:
    """Constants that a file stores in one form and reads in another."""

    def test_tied_embedding(self, tmp_path: Path) -> None:
        """A table of 500 x 64 that is transposed for the last product is counted once."""
        nodes = [
            *(node("Gather", ["table", "i"], ["e"]), node("Transpose", ["table"], ["t"])),
            node("MatMul", ["e", "t"], ["y"]),
        ]
        content = helper.make_model(
            graph(nodes, [value("i", [1, 4], TensorProto.INT64)], stored=[zeros("table", 500, 64)]),
            opset_imports=[helper.make_opsetid("", 20)],
            ir_version=10,
        )
        report = count(saved(tmp_path, content))
        assert report.totals.params == 500 * 64
        assert report.totals.macs == 4 * 64 * 500

    def test_cast_weight(self, tmp_path: Path) -> None:
        """A weight that is cast before its product is used."""
        nodes = [node("Cast", ["w"], ["f"], to=TensorProto.FLOAT), node("Conv", ["x", "f"], ["y"])]
        report = count(saved(tmp_path, model(nodes, stored=[zeros("w", 3, 3, 1, 1, dtype="float16")])))
        assert report.totals.params == 9
        assert report.unused_params == ()

    def test_reshaped_transpose(self, tmp_path: Path) -> None:
        """A transposed and reshaped weight has the shape that it was given."""
        nodes = [
            *(node("Transpose", ["w"], ["t"]), node("Reshape", ["t", "sizes"], ["k"])),
            node("Conv", ["x", "k"], ["y"]),
        ]
        stored = [zeros("w", 3, 5), constant("sizes", [5, 3, 1, 1])]
        report = count(saved(tmp_path, model(nodes, stored=stored)))
        assert report.totals.macs == 5 * 3 * 8 * 8
        assert report.totals.params == 15

    def test_norm_without_parameters(self, tmp_path: Path) -> None:
        """The scale of ones and shift of zeros that an exporter gives to a batch norm without them are no params."""
        stored = [
            zeros("val_3", 4),
            constant("val_2", [1.0] * 4, "float32"),
            zeros("mean", 4),
            zeros("var", 4),
        ]
        norm = node("BatchNormalization", ["x", "val_2", "val_3", "mean", "var"], ["y"])
        report = count(saved(tmp_path, model([norm], (1, 4, 8, 8), stored)))
        assert report.totals.params == 0
        assert report.totals.reads == 4 * 8 * 8 + 2 * 4

    def test_large_constant(self, tmp_path: Path) -> None:
        """A constant of 80,000 bytes, whose elements are not read, is no operator."""
        indices = node("Constant", [], ["i"])
        tensor = constant("", np.zeros((100, 100)))
        indices.attribute.append(helper.make_attribute("value", tensor))
        report = count(saved(tmp_path, model([indices, node("Gather", ["x", "i"], ["y"], axis=2)])))
        assert len(report.rows) == 1
        assert report.complete
