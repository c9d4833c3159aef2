"""Small model files that tests damage."""

from __future__ import annotations

from pathlib import Path

import torch
from exported_files import in_older_layout, saved
from exported_nets import Branching, Resizable, Shared
from onnx import ModelProto, TensorProto
from onnx_graphs import call, constant, function, graph, model, node, value, zeros

SIZES = (1, 4, 8, 8)


def onnx_seeds() -> list[bytes]:
    """Return files of ONNX with each kind of node, attribute and graph."""
    made = (_convolutions(), _shapes(), _calls(), _branches(), _loops(), _scans(), _sequences(), _integers())
    return [each.SerializeToString() for each in (*made, _windows(), _attention())]


def pt2_seeds(folder: Path) -> list[bytes]:
    """Return the content of each file of `torch.export.save`, which is written to `folder` first."""
    nets: tuple[tuple[torch.nn.Module, tuple[torch.Tensor, ...], dict[str, torch.Tensor]], ...] = (
        (Resizable(), (torch.zeros(2, 3, 8, 8),), {}),
        (Branching(), (torch.zeros(2, 4),), {}),
        (Shared(), (torch.zeros(2, 4),), {"extra": torch.zeros(2, 4)}),
    )
    files = [
        saved(folder / f"seed{number}.pt2", net, *inputs, kwargs=keywords)
        for number, (net, inputs, keywords) in enumerate(nets)
    ]
    files.append(in_older_layout(files[-1], folder / "older.pt2", nets[-1][0]))
    return [file.read_bytes() for file in files]


def _convolutions() -> ModelProto:
    stored = [
        zeros("w", 6, 2, 3, 3),
        zeros("b", 6),
        zeros("s", 6),
        zeros("m", 384, 5),
        zeros("t", 6, 4, 2, 2),
    ]
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], group=2, pads=[1] * 4, strides=[1, 1], dilations=[1, 1]),
        node("BatchNormalization", ["c", "s", "s", "b", "s"], ["n"], epsilon=1e-3),
        node("Relu", ["n"], ["r"]),
        node("ConvTranspose", ["r", "t"], ["u"], strides=[2, 2], output_padding=[1, 1]),
        node("Flatten", ["r"], ["f"], axis=1),
        node("Gemm", ["f", "m"], ["g"], alpha=1.0, beta=1.0),
        node("Softmax", ["g"], ["y"], axis=-1),
    ]
    return model(nodes, ("n", 4, 8, 8), stored, outputs=["y", "u"])


def _shapes() -> ModelProto:
    nodes = [
        *(
            node("Shape", ["x"], ["s"]),
            node("Gather", ["s", "one"], ["c"]),
            node("Unsqueeze", ["c", "zeros"], ["u"]),
        ),
        node("Concat", ["u", "minus"], ["to"], axis=0),
        *(node("Reshape", ["x", "to"], ["r"]), node("Transpose", ["r"], ["t"], perm=[1, 0])),
        *(node("Slice", ["t", "zeros", "u"], ["l"]), node("Expand", ["u", "wide"], ["e"])),
        *(node("ConstantOfShape", ["wide"], ["o"]), node("Range", ["zero", "one", "one"], ["g"])),
        *(node("Tile", ["l", "twice"], ["h"]), node("Pad", ["h", "edges"], ["y"])),
    ]
    numbers = {
        "one": 1,
        "zero": 0,
        "zeros": [0],
        "minus": [-1],
        "wide": [2, 3],
        "twice": [2, 1],
        "edges": [1] * 4,
    }
    return model(nodes, SIZES, [constant(name, number) for name, number in numbers.items()])


def _calls() -> ModelProto:
    inner = function(
        "Inner", ["x", "w"], ["y"], [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
    )
    outer = function(
        "Outer", ["x", "w"], ["y"], [call("Inner", ["x", "w"], ["h"]), call("Inner", ["h", "w"], ["y"])]
    )
    nodes = [call("Outer", ["x", "w"], ["h"], path="first"), call("Outer", ["h", "w"], ["y"], path="second")]
    return model(nodes, SIZES, [zeros("w", 8, 8)], functions=[inner, outer])


def _branches() -> ModelProto:
    then = graph([node("Add", ["x", "x"], ["y"])])
    other = graph([node("MatMul", ["x", "w"], ["y"])], stored=[zeros("w", 8, 8)])
    nodes = [node("If", ["c"], ["z"], then_branch=then, else_branch=other)]
    nodes.append(
        node("If", ["yes"], ["y"], then_branch=graph([node("Relu", ["z"], ["y"])]), else_branch=then)
    )
    return model(nodes, SIZES, [constant("yes", True, "bool")], more=[value("c", [], TensorProto.BOOL)])


def _loops() -> ModelProto:
    given = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("h")]
    body = graph([node("MatMul", ["h", "w"], ["n"])], given, ("go", "n", "n"), [zeros("w", 8, 8)])
    nodes = [
        node("Loop", ["three", "", "x"], ["last", "all"], body=body),
        node("Add", ["last", "all"], ["y"]),
    ]
    return model(nodes, SIZES, [constant("three", 3)])


def _scans() -> ModelProto:
    body = graph(
        [node("Add", ["h", "e"], ["n"]), node("Relu", ["n"], ["o"])], [value("h"), value("e")], ("n", "o")
    )
    scan = node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1, scan_input_axes=[1])
    return model([scan], SIZES, [zeros("start", 1, 8, 8)])


def _sequences() -> ModelProto:
    nodes = [
        node("SplitToSequence", ["x", "two"], ["s"], axis=1),
        *(node("SequenceAt", ["s", "zero"], ["a"]), node("SequenceInsert", ["s", "a"], ["l"])),
        *(node("SequenceErase", ["l", "zero"], ["e"]), node("ConcatFromSequence", ["e"], ["y"], axis=1)),
    ]
    return model(nodes, SIZES, [constant("two", 2), constant("zero", 0)])


def _integers() -> ModelProto:
    stored = [zeros("w", 6, 4, 3, 3, dtype="int8"), zeros("z", dtype="uint8"), zeros("k", dtype="int8")]
    stored += [constant("s", 0.1, "float32")]
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["w", "s", "k"], ["v"]),
        node("Conv", ["d", "v"], ["c"]),
        node("QLinearConv", ["q", "s", "z", "w", "s", "k", "s", "z"], ["l"]),
        *(node("ConvInteger", ["q", "w", "z"], ["i"]), node("Cast", ["i"], ["y"], to=1)),
    ]
    return model(nodes, SIZES, stored, outputs=["y", "c", "l"])


def _windows() -> ModelProto:
    nodes = [
        node("MaxPool", ["x"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1),
        node("AveragePool", ["p"], ["a"], kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        node("Resize", ["a", "", "scales"], ["r"], mode="nearest"),
        *(node("DepthToSpace", ["r"], ["d"], blocksize=2), node("SpaceToDepth", ["d"], ["e"], blocksize=2)),
        *(node("Split", ["e"], ["f", "g"], axis=1, num_outputs=2), node("GlobalAveragePool", ["f"], ["y"])),
        node("TopK", ["g", "one"], ["t", "places"], axis=1),
    ]
    stored = [constant("scales", [1, 1, 2, 2], "float32"), constant("one", [1])]
    return model(nodes, SIZES, stored, outputs=["y", "t"])


def _attention() -> ModelProto:
    nodes = [
        node("LayerNormalization", ["x", "g", "g"], ["n"], axis=-1),
        node("Einsum", ["n", "n"], ["q"], equation="bhij,bhkj->bhik"),
        *(node("Softmax", ["q"], ["a"]), node("ReduceMean", ["a", "axes"], ["m"], keepdims=1)),
        *(node("Div", ["a", "m"], ["v"]), node("MatMul", ["v", "x"], ["o"])),
        *(node("Squeeze", ["start"], ["i"]), node("LSTM", ["z", "wi", "wh"], ["l"], hidden_size=3)),
        *(node("Reshape", ["o", "to"], ["z"]), node("Where", ["c", "o", "x"], ["y"])),
    ]
    stored = [zeros("g", 8), constant("axes", [-1]), constant("to", [4, 8, 8]), constant("c", [True], "bool")]
    stored += [zeros("wi", 1, 12, 8), zeros("wh", 1, 12, 3), zeros("start", 1)]
    nodes[-2], nodes[-3] = nodes[-3], nodes[-2]
    return model(nodes, SIZES, stored, outputs=["y", "l"])
