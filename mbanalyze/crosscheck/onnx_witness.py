"""A report of an ONNX file against the file itself: the macs and weights of its products."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from mbanalyze.crosscheck.checked_count import CheckedCount
from mbanalyze.inputs.typed import Sizes
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TypeProto

CONVOLUTIONS = {"Conv": (0, 1), "ConvTranspose": (0, 1), "QLinearConv": (0, 3), "ConvInteger": (0, 1)}
"""Operators of kind `conv`, and the inputs that are the image and the weight."""
PRODUCTS = {"Gemm": (0, 1), "MatMul": (0, 1), "QLinearMatMul": (0, 3), "MatMulInteger": (0, 1)}
"""Operators of the kinds `linear` and `matmul`, and the inputs that they multiply."""
BIASES = {"Conv": 2, "ConvTranspose": 2, "QLinearConv": 8, "Gemm": 2}
"""Operators with a bias, and its input."""
MOVES = frozenset({"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "DequantizeLinear"})
"""Operators that hand a weight on to the product that uses it."""

UNKNOWN = "onnx does not infer the shape of every product of this file"
NESTED = "the products of functions, branches and other libraries are not compared"


def against_file(report: Report, model: ModelProto) -> list[CheckedCount]:
    """Compare the macs and weights of a report with those of the file's own products, each kind by itself.

    The shapes are those that `onnx` infers for the whole graph.
    """
    sides = {"conv": CONVOLUTIONS, "linear+matmul": PRODUCTS}
    shapes = _shapes(model, report.input)
    found: list[CheckedCount] = []
    for kinds, operators in sides.items():
        rows = [row for row in report.rows if row.op.kind in kinds.split("+")]
        nodes = [node for node in model.graph.node if node.op_type in operators]
        if rows or nodes:
            found += _compared(kinds, rows, nodes, operators, model, shapes)
    return found


def _compared(
    kinds: str,
    rows: Sequence[Row],
    nodes: Sequence[NodeProto],
    operators: Mapping[str, tuple[int, int]],
    model: ModelProto,
    shapes: Mapping[str, Sizes],
) -> Iterator[CheckedCount]:
    """Yield the comparisons of macs and of params, for kinds of operators."""
    macs = [_macs(node, operators[node.op_type], shapes) for node in nodes]
    ours = sum(row.cost.macs or 0 for row in rows)
    reason = NESTED if _is_nested(model) else UNKNOWN if None in macs else None
    theirs = None if reason else sum(each or 0 for each in macs)
    yield CheckedCount(f"onnx/{kinds}", ours, theirs, None if reason else ours == theirs, reason)
    values = {value for row in rows for op in row.recorded for value in op.operands if value.role == "weight"}
    params = sum({value.number: value.extent for value in values}.values())
    if reason == NESTED:
        yield CheckedCount(f"params/{kinds}", params, None, None, NESTED)
    else:
        stored = _stored(model, nodes, operators)
        yield CheckedCount(f"params/{kinds}", params, stored, params == stored)


def _is_nested(model: ModelProto) -> bool:
    """True if products may be inside of nodes: in functions, branches, or operators of other libraries."""
    return any(
        node.domain not in ("", "ai.onnx")
        or node.op_type == "Einsum"
        or any(each.HasField("g") or each.graphs for each in node.attribute)
        for node in model.graph.node
    )


def _macs(node: NodeProto, places: tuple[int, int], known: Mapping[str, Sizes]) -> int | None:
    """The macs of a product; None if a shape is unknown."""
    x, w = (known.get(node.input[place]) for place in places)
    y = known.get(node.output[0])
    if x is None or w is None or y is None:
        return None
    if node.op_type == "ConvTranspose":  # x n,c,h,w; w c,k/g,r,s
        return prod(x) * prod(w[1:])
    if node.op_type in CONVOLUTIONS:  # w k,c/g,r,s; y n,k,h,w
        return prod(y) * prod(w[1:])
    transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return prod(y) * (x[0] if transposed else x[-1])  # x m,k; w k,n; y m,n


def _stored(model: ModelProto, nodes: Sequence[NodeProto], operators: Mapping[str, tuple[int, int]]) -> int:
    """The elements of the initializers that some products read as weight or bias, each initializer once."""
    sizes = {each.name: prod(each.dims) for each in model.graph.initializer}
    source = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type in MOVES}
    read: set[str] = set()
    for node in nodes:
        places: Collection[int] = {*operators[node.op_type], BIASES.get(node.op_type, 0)}
        names = [node.input[place] for place in places if place < len(node.input)]
        read.update(_origin(name, source) for name in names)
    return sum(sizes.get(name, 0) for name in read)


def _origin(name: str, source: Mapping[str, str]) -> str:
    """The tensor whose elements a tensor has."""
    for _ in range(len(source) + 1):
        if name not in source:
            break
        name = source[name]
    return name


def _shapes(model: ModelProto, inputs: Sequence[Sizes]) -> dict[str, Sizes]:
    """The shape of each tensor of which `onnx` infers all sizes, at inputs of these shapes."""
    from onnx import ModelProto, shape_inference

    copied = ModelProto()
    copied.CopyFrom(model)
    stored = {each.name: tuple(each.dims) for each in model.graph.initializer}
    given = [each for each in copied.graph.input if each.name not in stored]
    for info, sizes in zip(given, inputs, strict=True):
        for dim, size in zip(info.type.tensor_type.shape.dim, sizes, strict=True):
            dim.dim_value = size
    del copied.graph.value_info[:]  # shapes with the sizes of the export
    for output in copied.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(copied, data_prop=True).graph
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        return {}
    infos = (*inferred.input, *inferred.value_info, *inferred.output)
    found = {info.name: known for info in infos if (known := _sizes(info.type)) is not None}
    return {**found, **stored}


def _sizes(type: TypeProto) -> Sizes | None:
    """The sizes of a tensor; None if one is unknown."""
    if not type.tensor_type.HasField("shape"):
        return None
    dims = type.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None
