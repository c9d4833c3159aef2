"""Every node of a graph in order, from the shapes of the inputs to steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from onnx import FunctionProto, NodeProto, OperatorSetIdProto, TypeProto

from mbanalyze.model_files.file_error import MAX_NODES, ModelFileError
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, Memory, typed
from mbanalyze.model_files.onnx_file.known_values import known_outputs
from mbanalyze.model_files.onnx_file.learned_names import looks_learned
from mbanalyze.model_files.onnx_file.node import Node, attributes_of
from mbanalyze.model_files.onnx_file.node_matching.matchers import match_node
from mbanalyze.model_files.onnx_file.node_matching.node_match import NodeMatch
from mbanalyze.model_files.onnx_file.node_paths import path_of
from mbanalyze.model_files.onnx_file.output_types import output_types

RESHAPES = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "DequantizeLinear"}
)
"""The operators whose output is the same memory with another shape, or the same numbers read in another type."""

_FEW = 16
"""The most elements that a tensor of factors or sizes is taken to have."""

Scope = dict[str, GraphTensor]
"""The tensors of a graph by name."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node that does work, or whose work is unknown.

    Attributes:
        path: the path of its module.
        node: the node.
        match: what it does.
        outputs: the tensors that it writes.
    """

    path: str
    node: Node
    match: NodeMatch
    outputs: tuple[GraphTensor, ...]


@dataclass(slots=True)
class Walk:
    """A walk through the nodes of a graph.

    Attributes:
        imports: the operator sets of the graph or function that is walked through.
        functions: the functions of the file, by domain and name.
        described: the types that the file gives for its tensors.
        steps: the steps so far.
        free: how often each operator without cost was met, by name.
        constants: the number of nodes that depend on no input, and whose work is therefore done once.
        branches: the conditions of which the costlier branch was taken.
        nodes: the number of nodes so far.
    """

    imports: Sequence[OperatorSetIdProto]
    functions: Mapping[tuple[str, str], FunctionProto]
    described: Mapping[str, TypeProto]
    steps: list[Step] = field(default_factory=list)
    free: Counter[str] = field(default_factory=Counter)
    constants: int = 0
    branches: list[str] = field(default_factory=list)
    nodes: int = 0

    def run(
        self, nodes: Iterable[NodeProto], scope: Scope, outer: Mapping[str, Any], prefix: str = ""
    ) -> None:
        """Walk through nodes and add their outputs to `scope`.

        Args:
            nodes: the nodes, each after those whose outputs it reads.
            scope: the tensors that are known so far.
            outer: the attributes of the function call that the nodes are in.
            prefix: the path of the node that they are in.

        Raises:
            ModelFileError: a node reads a tensor that no earlier node writes, or its outputs are unknown.
        """
        for proto in nodes:
            self.nodes += 1
            if self.nodes > MAX_NODES:
                raise ModelFileError(
                    f"the graph has more than {MAX_NODES} nodes with its functions and loops"
                )
            node = self._node(proto, scope, outer)
            outputs = self._outputs(node, scope, prefix)
            names = [name for name in proto.output if name]
            for name, tensor in zip(names, outputs, strict=False):
                if name in scope:
                    raise ModelFileError(f"two nodes write {name!r}")
                scope[name] = tensor

    def _node(self, proto: NodeProto, scope: Scope, outer: Mapping[str, Any]) -> Node:
        """The node with the tensors that it reads."""
        missing = next((name for name in proto.input if name and name not in scope), None)
        if missing is not None:
            raise ModelFileError(f"{proto.op_type} reads {missing!r}, which no earlier node writes")
        inputs = tuple(scope[name] if name else None for name in proto.input)
        return Node(proto, inputs, attributes_of(proto, outer), self._version(proto.domain))

    def _version(self, domain: str) -> int:
        """The version of an operator set; 1 if the graph does not import it."""
        same = ("", "ai.onnx") if domain in ("", "ai.onnx") else (domain,)
        return next((entry.version for entry in self.imports if entry.domain in same), 1)

    def _outputs(self, node: Node, scope: Scope, prefix: str) -> Sequence[GraphTensor]:
        """The outputs of a node, whose work is noted as a step unless it has none."""
        from mbanalyze.model_files.onnx_file.subgraphs import run_subgraphs

        inner = run_subgraphs(self, node, scope, prefix)
        if inner is not None:
            return inner
        values = None if _keeps_memory(node) else known_outputs(node, self.imports)
        works_on_weights = _works_on_weights(node)
        if values is not None and not works_on_weights:
            return values
        types = output_types(node, self.imports, self.described)
        tensors = node.present()
        if node.operator in RESHAPES:
            if not tensors[0].is_constant:
                self.free[node.operator] += 1
            return self._reshaped(node, types)
        names = [name for name in node.proto.output if name]
        if tensors and all(tensor.is_constant for tensor in tensors) and not works_on_weights:
            self.constants += 1
            return [typed(type, name, "constant") for type, name in zip(types, names, strict=True)]
        outputs = [typed(type, name, "computed") for type, name in zip(types, names, strict=True)]
        match = match_node(node, outputs)
        if match is None:
            self.free[node.operator] += 1
        else:
            self.steps.append(Step(prefix + path_of(node), node, match, tuple(outputs)))
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


def _keeps_memory(node: Node) -> bool:
    """True for a node that gives an initializer another name or shape; exporters share equal initializers so."""
    is_reshape = node.operator in RESHAPES and node.operator != "DequantizeLinear"
    return is_reshape and node.input(0).memory.origin == "initializer"


def _works_on_weights(node: Node) -> bool:
    """True for a node that reads learned numbers, and does more than store them in another order or type.

    A few numbers may as well be the factors of a resize, which shapes depend on.
    """
    free = ("Shape", "Size", "Transpose", "Cast")
    several = [tensor for tensor in node.present() if prod(tensor.shape) > _FEW]
    return node.operator not in free and any(map(looks_learned, several))


def _dequantised(data: GraphTensor, type: TypeProto) -> GraphTensor:
    """The numbers that a quantised tensor stands for, which are read from its own memory."""
    return GraphTensor(type, data.memory, data.stored)


def input_tensor(type: TypeProto, name: str) -> GraphTensor:
    """Return an input of a graph."""
    return GraphTensor(type, Memory(name, "input"), type.tensor_type.elem_type)
