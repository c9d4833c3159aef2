"""Small files of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

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
