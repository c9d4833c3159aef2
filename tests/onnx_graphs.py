"""Graphs of ONNX for tests: exported modules, graphs of one node, and small files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph
from mbanalyze.report.rows import Row, rows

OPSET = 20
Sizes = Sequence[int | str] | None


def value(name: str, sizes: Sizes = None, type: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """Return the description of a tensor."""
    return helper.make_tensor_value_info(name, type, sizes)


def zeros(name: str, *sizes: int, dtype: str = "float32") -> TensorProto:
    """Return an initializer."""
    return numpy_helper.from_array(np.zeros(sizes, dtype), name)


def constant(name: str, number: Any, dtype: str = "int64") -> TensorProto:
    """Return an initializer with the given elements."""
    return numpy_helper.from_array(np.array(number, dtype), name)


def graph(
    nodes: Sequence[NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    outputs: Sequence[str] = ("y",),
    stored: Sequence[TensorProto] = (),
) -> GraphProto:
    """Return a graph."""
    described = [value(name) if isinstance(name, str) else name for name in outputs]
    return helper.make_graph(nodes, "graph", inputs, described, stored)


def model(
    nodes: Sequence[NodeProto],
    sizes: Sizes = (1, 3, 8, 8),
    stored: Sequence[TensorProto] = (),
    *,
    outputs: Sequence[Any] = ("y",),
    more: Sequence[onnx.ValueInfoProto] = (),
    functions: Sequence[FunctionProto] = (),
) -> ModelProto:
    """Return a model with the input `x`, `more` inputs, and the output `y`."""
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    inner = graph(nodes, [value("x", sizes), *more], outputs, stored)
    return helper.make_model(inner, opset_imports=imports, ir_version=10, functions=functions)


def saved(folder: Path, content: ModelProto | bytes, name: str = "m.onnx") -> str:
    """Return the name of a file with a model or bytes."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return str(path)


def function(
    name: str, inputs: Sequence[str], outputs: Sequence[str], nodes: Sequence[NodeProto], **more: Any
) -> FunctionProto:
    """Return a function of the domain `local`."""
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, inputs, outputs, nodes, imports, **more)


def call(name: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    """Return a call of a function of the domain `local`."""
    return helper.make_node(
        name, inputs, outputs, domain="local", name=attributes.pop("path", ""), **attributes
    )


node = helper.make_node


def exported_graph(module: nn.Module, *shapes: tuple[int, ...], opset: int = 20) -> OnnxGraph:
    """Return the graph of a module that the exporter of TorchScript writes."""
    buffer = io.BytesIO()
    inputs = tuple(torch.rand(shape) for shape in shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, cast(str, buffer), dynamo=False, opset_version=opset)
    return OnnxGraph("net.onnx", onnx.load_from_string(buffer.getvalue()))


def exported(module: nn.Module, *shapes: tuple[int, ...], opset: int = 20) -> Sequence[Row]:
    """Return the rows of a module that was exported."""
    return rows(exported_graph(module, *shapes, opset=opset).record(shapes).ops)


def node_rows(
    operator: str, *inputs: Any, opset: int = 23, outputs: int = 1, shape: Any = None, **attributes: Any
) -> Sequence[Row]:
    """Return the rows of a graph of one node; shapes are its inputs, arrays its initializers, None is left out.

    The file describes the output if it has a `shape`, which `RandomNormal` takes as an attribute too.
    """
    names = ["" if value is None else f"x{place}" for place, value in enumerate(inputs)]
    given = dict(zip(names, inputs, strict=True))
    shapes = {name: value for name, value in given.items() if isinstance(value, tuple)}
    stored = [numpy_helper.from_array(v, name) for name, v in given.items() if isinstance(v, np.ndarray)]
    written = [f"y{place}" for place in range(outputs)]
    drawn = {"shape": shape} if operator == "RandomNormal" else {}
    node = helper.make_node(operator, names, written, name="node", **attributes, **drawn)
    types = {**dict.fromkeys(shapes, TensorProto.FLOAT), **TYPES.get(operator, {})}
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info(name, types[name], shape) for name, shape in shapes.items()],
        [output_info(name, shape) for name in written],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return rows(OnnxGraph("node.onnx", model).record(list(shapes.values())).ops)


def output_info(name: str, shape: Any) -> Any:
    """Return the description of an output, whose type is unknown without a shape."""
    if shape is None:
        return helper.make_empty_tensor_value_info(name)
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


_INDICES: dict[str, int] = {"x1": TensorProto.INT64}
_TRUTH: dict[str, int] = {"x0": TensorProto.BOOL, "x1": TensorProto.BOOL}
_INTEGERS: dict[str, int] = {"x0": TensorProto.INT32, "x1": TensorProto.INT32}

TYPES: dict[str, dict[str, int]] = {
    "BitShift": {"x0": TensorProto.UINT8, "x1": TensorProto.UINT8},
    **dict.fromkeys(("BitwiseAnd", "BitwiseNot"), _INTEGERS),
    **dict.fromkeys(("Xor", "Or", "Not", "Where"), _TRUTH),
    **dict.fromkeys(("ScatterND", "MaxUnpool", "GatherElements", "GatherND"), _INDICES),
    **dict.fromkeys(("SoftmaxCrossEntropyLoss", "ReverseSequence"), _INDICES),
    "OneHot": {"x0": TensorProto.INT64},
    **{name: {"x2": TensorProto.INT64} for name in ("RoiAlign", "TensorScatter")},
}
"""Operator -> the element types of its inputs that are no floating-point numbers."""


def floats(*values: float) -> Any:
    """Return an array of numbers."""
    return np.array(values, np.float32)


def scalar(value: int) -> Any:
    """Return an integer as an array without dimensions."""
    return np.array(value, np.int64)


def whole(*values: int) -> Any:
    """Return an array of integers."""
    return np.array(values, np.int64)
