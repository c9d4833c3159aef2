"""The tensors and settings that the nodes of one graph or function share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnx import AttributeProto, GraphProto, OperatorSetIdProto, TypeProto

from mbanalyze.model_files.file_error import MAX_DEPTH, ModelFileError
from mbanalyze.model_files.onnx_file.graph_tensors import GraphTensor, stored_tensor
from mbanalyze.model_files.onnx_file.signature import Signature


@dataclass(frozen=True, slots=True)
class Frame:
    """The tensors and settings that the nodes of one graph or function share.

    Attributes:
        imports: the operator sets.
        described: the types that the file gives for tensors.
        attributes: the attributes of the call of the function.
        path: the path of the node that stands for the nodes; None in the graph of the file.
        around: the graph that a branch or the body of a loop is in; its tensors can be read.
        depth: the number of nodes that the graph or function is in.
        tensors: the tensors so far, by name; None for an input of a function that its call leaves out.
    """

    imports: Sequence[OperatorSetIdProto]
    described: Mapping[str, TypeProto]
    attributes: Mapping[str, AttributeProto] = field(default_factory=dict)
    path: str | None = None
    around: Frame | None = None
    depth: int = 0
    tensors: dict[str, GraphTensor | None] = field(default_factory=dict)

    def read(self, name: str) -> GraphTensor | None:
        """Return the tensor of a name.

        Raises:
            ModelFileError: no earlier node writes it.
        """
        frame: Frame | None = self
        while frame is not None:
            if name in frame.tensors:
                return frame.tensors[name]
            frame = frame.around
        raise ModelFileError(f"no earlier node writes {name!r}")

    def write(self, name: str, tensor: GraphTensor | None) -> None:
        """Add a tensor.

        Raises:
            ModelFileError: the graph has another tensor of this name, or the name is no text.
        """
        if not isinstance(name, str):
            raise ModelFileError(f"a tensor has the name {name!r}, which is no text")
        if name in self.tensors:
            raise ModelFileError(f"two nodes or initializers write {name!r}")
        self.tensors[name] = tensor

    def version(self, domain: str) -> int:
        """Return the version of an operator set; 1 if it is not imported."""
        same = ("", "ai.onnx") if domain in ("", "ai.onnx") else (domain,)
        return next((entry.version for entry in self.imports if entry.domain in same), 1)

    def inside(self, graph: GraphProto, path: str) -> Frame:
        """Return the frame of a branch or of the body of a loop, with its initializers."""
        return replace(
            self,
            described=described_types(graph),
            path=path,
            around=self,
            depth=deeper(self),
            tensors={**stored_tensors(graph)},
        )

    def again(self) -> Frame:
        """Return the frame for another iteration over the same initializers."""
        return replace(self, around=self, tensors={})


def deeper(frame: Frame) -> int:
    """Return the depth of a graph or function that a node of `frame` stands for.

    Raises:
        ModelFileError: it is over `MAX_DEPTH`.
    """
    if frame.depth >= MAX_DEPTH:
        raise ModelFileError(f"functions, conditions and loops are nested more than {MAX_DEPTH} deep")
    return frame.depth + 1


def described_types(graph: GraphProto) -> dict[str, TypeProto]:
    """Return the types that a graph gives for its tensors, by name."""
    return {info.name: info.type for info in (*graph.value_info, *graph.output)}


def stored_tensors(graph: GraphProto) -> dict[str, GraphTensor]:
    """Return the initializers of a graph by name, with what the graph says of them.

    Raises:
        ModelFileError: one is sparse, two have one name, or the content of one does not fit its sizes.
    """
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ModelFileError(f"the initializer {name!r} is sparse: store it as a dense tensor")
    found: dict[str, GraphTensor] = {}
    signature = Signature(graph)
    for proto in graph.initializer:
        if proto.name in found:
            raise ModelFileError(f"two initializers have the name {proto.name!r}")
        found[proto.name] = stored_tensor(proto, signature.says_of(proto.name))
    return found
