"""Calls of the functions that a file defines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnx import FunctionProto, GraphProto, NodeProto

from mbanalyze.model_files.file_error import MAX_DEPTH, MAX_NODES, ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame, deeper
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor
from mbanalyze.model_files.onnx_file.node import OnnxNode, domain_of
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import FunctionName, NodeWalk


def functions_by_name(functions: Iterable[FunctionProto]) -> dict[FunctionName, FunctionProto]:
    """Return functions by domain, name and overload.

    Raises:
        ModelFileError: two functions have one name.
    """
    found: dict[FunctionName, FunctionProto] = {}
    for function in functions:
        key = (domain_of(function.domain), function.name, function.overload)
        if key in found:
            raise ModelFileError(f"two functions have the name {function.domain}::{function.name}")
        found[key] = function
    return found


def run_function(
    walk: NodeWalk, function: FunctionProto, node: OnnxNode, frame: Frame
) -> Sequence[GraphTensor | None]:
    """Walk through the nodes of a function, and return its outputs."""
    if len(node.inputs) > len(function.input):
        raise ModelFileError(f"{node.label} has {len(node.inputs)} inputs instead of {len(function.input)}")
    defaults = {attribute.name: attribute for attribute in function.attribute_proto}
    given = {attribute.name: attribute for attribute in node.proto.attribute}
    inner = Frame(
        function.opset_import or frame.imports,
        {info.name: info.type for info in function.value_info},
        {**defaults, **given},
        path_of(node, frame.path),
        depth=deeper(frame),
    )
    for place, name in enumerate(function.input):
        inner.write(name, node.optional(place))
    walk.run(function.node, inner)
    return [inner.read(name) for name in function.output]


def check_calls(nodes: Sequence[NodeProto], functions: Mapping[FunctionName, FunctionProto]) -> None:
    """Count the nodes that functions stand for, before any of them is walked through.

    Raises:
        ModelFileError: they are over `MAX_NODES`, or a function calls itself.
    """
    counts: dict[FunctionName, int] = {}

    def expanded(nodes: Iterable[NodeProto], callers: tuple[FunctionName, ...]) -> int:
        """Return the number of nodes that some nodes stand for."""
        return sum(
            1 + called((domain_of(n.domain), n.op_type, n.overload), callers) for n in _all_nodes(nodes)
        )

    def called(name: FunctionName, callers: tuple[FunctionName, ...]) -> int:
        """Return the number of nodes of a function; 0 for an operator."""
        if name not in functions:
            return 0
        if name in callers:
            raise ModelFileError(f"the function {name[1]} calls itself")
        if len(callers) >= MAX_DEPTH:
            raise ModelFileError(f"functions are nested more than {MAX_DEPTH} deep")
        if name not in counts:
            counts[name] = expanded(functions[name].node, (*callers, name))
        return counts[name]

    if expanded(nodes, ()) > MAX_NODES:
        raise ModelFileError(f"the graph has more than {MAX_NODES} nodes with those of its functions")


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes of a graph and of the graphs in their attributes."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            graphs: list[GraphProto] = [*attribute.graphs]
            if attribute.HasField("g"):
                graphs.append(attribute.g)
            for graph in graphs:
                yield from _all_nodes(graph.node)
