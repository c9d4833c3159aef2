"""Every node of a graph in order, from the shapes of the inputs to steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from onnx import FunctionProto, NodeProto, TypeProto

from mbanalyze.model_files.file_error import MAX_NODES, ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, typed
from mbanalyze.model_files.onnx_file.known_values import known_outputs
from mbanalyze.model_files.onnx_file.node import Node, attributes_of, with_attributes
from mbanalyze.model_files.onnx_file.node_matching.matchers import match_node
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.output_types import output_types
from mbanalyze.model_files.onnx_file.step import FunctionName, Step
from mbanalyze.model_files.onnx_file.subgraphs import run_subgraphs

RESHAPES = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "DequantizeLinear"}
)
"""The operators whose output is the same memory with another shape, or the same numbers read in another type."""


@dataclass(slots=True)
class Walk:
    """A walk through the nodes of a graph.

    Attributes:
        functions: the functions of the file.
        steps: the steps so far.
        free: how often each operator without cost was met, by name.
        branches: the paths of the conditions of which the costlier branch was taken.
        constants: the number of nodes that depend on no input, and whose work is therefore done once.
        nodes: the number of nodes so far, in a list that walks share.
    """

    functions: Mapping[FunctionName, FunctionProto]
    steps: list[Step] = field(default_factory=list)
    free: Counter[str] = field(default_factory=Counter)
    branches: list[str] = field(default_factory=list)
    constants: int = 0
    nodes: list[int] = field(default_factory=lambda: [0])

    def run(self, nodes: Iterable[NodeProto], frame: Frame) -> None:
        """Walk through nodes, each after those whose outputs it reads, and add their outputs to the frame.

        Raises:
            ModelFileError: a node reads a tensor that no earlier node writes, or its outputs are unknown.
        """
        for proto in nodes:
            self.enter(1)
            node = _node(proto, frame)
            try:
                outputs = self._outputs(node, frame)
            except ModelFileError:
                raise
            except DAMAGES as error:
                raise ModelFileError(f"{node.label} is damaged: {type(error).__name__}: {error}") from error
            names = [name for name in proto.output if name]
            for name, tensor in zip(names, outputs, strict=False):
                frame.write(name, tensor)

    def enter(self, nodes: int) -> None:
        """Add to the number of nodes.

        Raises:
            ModelFileError: they are over `MAX_NODES`.
        """
        self.nodes[0] += nodes
        if self.nodes[0] > MAX_NODES:
            raise ModelFileError(f"the graph has more than {MAX_NODES} nodes with its functions and loops")

    def apart(self) -> Walk:
        """Return a walk whose steps are not those of this one yet."""
        return Walk(self.functions, nodes=self.nodes)

    def adopt(self, other: Walk) -> None:
        """Add the steps of a walk that was apart."""
        self.steps += other.steps
        self.free += other.free
        self.branches += other.branches
        self.constants += other.constants

    def _outputs(self, node: Node, frame: Frame) -> Sequence[GraphTensor]:
        """The outputs of a node, whose work is noted as a step unless it has none."""
        inner = run_subgraphs(self, node, frame)
        if inner is not None:
            return inner
        values = known_outputs(node, frame.imports)
        if values is not None:
            return values
        types = output_types(node, frame.imports, frame.described)
        tensors = node.present()
        if node.operator in RESHAPES:
            if not tensors[0].is_constant:
                self.free[node.operator] += 1
            return self._reshaped(node, types)
        names = [name for name in node.proto.output if name]
        if tensors and all(tensor.is_constant for tensor in tensors):
            self.constants += 1
            return [typed(type, name, "constant") for type, name in zip(types, names, strict=True)]
        outputs = [typed(type, name, "computed") for type, name in zip(types, names, strict=True)]
        match = match_node(node, outputs)
        if match is None:
            self.free[node.operator] += 1
        else:
            self.steps.append(Step(path_of(node, frame.path), node, match, tuple(outputs)))
        return outputs

    def _reshaped(self, node: Node, types: Sequence[TypeProto]) -> list[GraphTensor]:
        """The output in the memory of the input, and further outputs such as the mask of a dropout."""
        data = node.input(0)
        same = (
            data.reshaped(types[0]) if node.operator != "DequantizeLinear" else _dequantised(data, types[0])
        )
        others = [
            typed(type, node.proto.output[place], "computed") for place, type in enumerate(types[1:], 1)
        ]
        return [same, *others]


def _dequantised(data: GraphTensor, type: TypeProto) -> GraphTensor:
    """The numbers that a quantised tensor stands for, which are read from its own memory."""
    return GraphTensor(type, data.memory, data.stored)


def _node(proto: NodeProto, frame: Frame) -> Node:
    """The node with the tensors that it reads."""
    texts: tuple[object, ...] = (proto.op_type, proto.domain, proto.name, proto.overload)
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileError(f"a node has a name or an operator that is no text: {texts}")
    try:
        inputs = tuple(frame.read(name) if name else None for name in proto.input)
        given = with_attributes(proto, frame.attributes)
        if None in inputs:
            given = _without_missing(given, inputs)
        return Node(given, inputs, attributes_of(given), frame.version(proto.domain))
    except ValueError as error:
        name = proto.name or (proto.output[0] if proto.output else "")
        raise ModelFileError(f"the node {name!r} ({proto.op_type}) is damaged: {error}") from error


def _without_missing(proto: NodeProto, inputs: Sequence[GraphTensor | None]) -> NodeProto:
    """The node without the names of the inputs that the call of its function leaves out."""
    found = NodeProto()
    found.CopyFrom(proto)
    found.input[:] = [name if tensor else "" for name, tensor in zip(proto.input, inputs, strict=True)]
    return found


DAMAGES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    *(MemoryError, NotImplementedError, RecursionError),
)
"""The errors of a node whose inputs or attributes are not those that its operator takes."""
