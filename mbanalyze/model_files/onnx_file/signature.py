"""The parameters and buffers of a module, which the exporter of `torch.export` lists in a file."""

from __future__ import annotations

import re

from onnx import GraphProto

from mbanalyze.model_files.onnx_file.graph_tensors import Declared

_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_PARAMETER = re.compile(r"PARAMETER target='([^']+)'")
_BUFFER = re.compile(r"BUFFER target='([^']+)'")
_BARE = re.compile(r"\w+$")
"""The names that the exporter gives to tensors that it computed: those of an operator or a number."""


class Signature:
    """The names of the parameters and buffers that a graph lists.

    Attributes:
        parameters: the learned tensors.
        buffers: the stored tensors that are not learned.
    """

    def __init__(self, graph: GraphProto) -> None:
        """Read the lists of a graph; both are empty if it has none."""
        text = "\n".join(entry.value for entry in graph.metadata_props if entry.key == _SIGNATURE)
        self.parameters = frozenset(_PARAMETER.findall(text))
        self.buffers = frozenset(_BUFFER.findall(text))

    def says_of(self, name: str) -> Declared:
        """Return what the lists say of an initializer; a name with a point may be that of another tool."""
        if name in self.parameters:
            return "parameter"
        if name in self.buffers:
            return "buffer"
        listed = bool(self.parameters or self.buffers)
        return "neither" if listed and _BARE.match(name) else "unknown"
