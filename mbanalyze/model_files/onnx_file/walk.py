"""Every node of a graph in order, from the shapes of the inputs to steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from onnx import FunctionProto, NodeProto, TypeProto

from mbanalyze.model_files.file_error import MAX_NODES, ModelFileError
from mbanalyze.model_files.onnx_file.frame import Frame
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, typed
from mbanalyze.model_files.onnx_file.known_values import known_outputs
from mbanalyze.model_files.onnx_file.learned_names import looks_learned
from mbanalyze.model_files.onnx_file.node import OnnxNode, attributes_of, with_attributes
from mbanalyze.model_files.onnx_file.node_matching.matchers import match_node
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.node_steps import FunctionName, NodeStep
from mbanalyze.model_files.onnx_file.output_types import output_types
from mbanalyze.model_files.onnx_file.quantised_constants import (
    STORED_AGAIN,
    constant_outputs,
    is_quantised_constant,
    quantised_constant,
)
from mbanalyze.model_files.onnx_file.subgraphs import run_subgraphs

RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
"""The operators whose output is the same memory with another shape."""

_FEW = 16
"""The most elements that a tensor of factors or sizes is taken to have."""


@dataclass(slots=True)
class Walk:
    """A walk through the nodes of a graph.

    Attributes:
        functions: the functions of the file.
        steps: the steps so far.
        free: how often each operator without cost was met, by name.
        branches: the paths of the conditions of which the costlier branch was taken.
        constants: the number of nodes on constants alone that are too large to be computed here.
        nodes: the number of nodes so far, in a list that walks share.
    """

    functions: Mapping[FunctionName, FunctionProto]
    steps: list[NodeStep] = field(default_factory=list)
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

    def _outputs(self, node: OnnxNode, frame: Frame) -> Sequence[GraphTensor]:
        """The outputs of a node, whose work is noted as a step unless it has none."""
        inner = run_subgraphs(self, node, frame)
        if inner is not None:
            return inner
        if is_quantised_constant(node):
            return [quantised_constant(node, output_types(node, frame.imports, frame.described)[0])]
        values = None if _keeps_memory(node) else known_outputs(node, frame.imports)
        works_on_weights = _works_on_weights(node)
        if values is not None and not works_on_weights:
            return values
        types = output_types(node, frame.imports, frame.described)
        tensors = node.present()
        if node.operator in RESHAPES:
            if not tensors[0].is_constant:
                self.free[node.operator] += 1
            return self._reshaped(node, types)
        names = [name for name in node.proto.output if name]
        reads_constants = tensors and all(tensor.is_constant for tensor in tensors) and not works_on_weights
        if reads_constants or node.operator == "Constant":
            self.constants += len(tensors) > 0
            return constant_outputs(node, types, names)
        outputs = [typed(type, name, "computed") for type, name in zip(types, names, strict=True)]
        match = match_node(node, outputs)
        if match is None:
            self.free[node.operator] += 1
        else:
            self.steps.append(NodeStep(path_of(node, frame.path), node, match, tuple(outputs)))
        return outputs

    def _reshaped(self, node: OnnxNode, types: Sequence[TypeProto]) -> list[GraphTensor]:
        """The output in the memory of the input, and further outputs such as the mask of a dropout."""
        others = [
            typed(type, node.proto.output[place], "computed") for place, type in enumerate(types[1:], 1)
        ]
        return [node.input(0).reshaped(types[0]), *others]


def _keeps_memory(node: OnnxNode) -> bool:
    """True for a node that gives an initializer another name or shape; exporters share equal initializers so."""
    names = RESHAPES | STORED_AGAIN
    return node.operator in names and node.input(0).memory.origin == "initializer"


def _works_on_weights(node: OnnxNode) -> bool:
    """True for a node that reads learned numbers, and does more than store them in another order or type.

    A few numbers may as well be the factors of a resize, which shapes depend on.
    """
    several = [tensor for tensor in node.present() if prod(tensor.shape) > _FEW]
    return node.operator not in ("Shape", "Size", *STORED_AGAIN) and any(map(looks_learned, several))


def _node(proto: NodeProto, frame: Frame) -> OnnxNode:
    """The node with the tensors that it reads."""
    texts: tuple[object, ...] = (proto.op_type, proto.domain, proto.name, proto.overload)
    if not all(isinstance(text, str) for text in texts):
        raise ModelFileError(f"a node has a name or an operator that is no text: {texts}")
    try:
        inputs = tuple(frame.read(name) if name else None for name in proto.input)
        given = with_attributes(proto, frame.attributes)
        if None in inputs:
            given = _without_missing(given, inputs)
        return OnnxNode(given, inputs, attributes_of(given), frame.version(proto.domain))
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
