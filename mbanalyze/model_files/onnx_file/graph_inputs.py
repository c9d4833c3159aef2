"""The inputs of a graph, without the initializers that some files list among them."""

from __future__ import annotations

from onnx import GraphProto, TypeProto, ValueInfoProto, helper

from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_inputs import FileInput


def graph_inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Return the inputs of a graph that are no initializers.

    Raises:
        ModelFileError: the name of one is no text, or that of another.
    """
    stored = {initializer.name for initializer in graph.initializer}
    inputs = [each for each in graph.input if each.name not in stored]
    names = [each.name for each in inputs]
    wrong = next((n for n in names if not isinstance(n, str) or names.count(n) > 1), None)
    if wrong is not None:
        raise ModelFileError(f"the name of an input is no text, or that of another: {wrong!r}")
    return inputs


def described_input(info: ValueInfoProto) -> FileInput:
    """Return an input as the file describes it.

    Raises:
        ModelFileError: it is no tensor, or its number of dimensions is unknown.
    """
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        raise ModelFileError(f"input {info.name} is no tensor with a known number of dimensions")
    dims = info.type.tensor_type.shape.dim
    sizes = [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param for dim in dims
    ]
    return FileInput(info.name, tuple(size or "?" * (place + 1) for place, size in enumerate(sizes)))


def input_type(info: ValueInfoProto, sizes: Sizes) -> TypeProto:
    """Return the type of an input of the given sizes."""
    return helper.make_tensor_type_proto(info.type.tensor_type.elem_type, sizes)
