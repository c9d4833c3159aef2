"""The path of the module that a node came from, as PyTorch's exporters write it."""

from __future__ import annotations

import ast
import re

from mbanalyze.model_files.onnx_file.node import OnnxNode

_SCOPES = "pkg.torch.onnx.name_scopes"


def path_of(node: OnnxNode, around: str | None = None) -> str:
    """Return the path of a node's module, or the name of the node if no exporter of PyTorch wrote it.

    If a node with a path stands for this one, that path is `around`, and is returned instead of the name.

    The exporter of `torch.export` lists the scopes of a node. A convolution that it merged with a batch norm has the
    scopes of the batch norm, so the name of the weight decides. The exporter of TorchScript names a node
    `/features/features.0/features.0.1/Conv`, where a name repeats that of the list that holds the module.
    """
    proto = node.proto
    for entry in proto.metadata_props:
        scope = _scope(entry.value) if entry.key == _SCOPES else None
        if scope is not None:
            return _module_of_weight(node) or scope
    if proto.name.startswith("/"):
        return _joined(proto.name.split("/")[1:-1])
    return proto.name if around is None else around


def _module_of_weight(node: OnnxNode) -> str:
    """The module of the parameter `module.weight` that a convolution or linear layer reads, or ""."""
    weight = node.optional(1) if node.operator in ("Conv", "ConvTranspose", "Gemm") else None
    module, _, name = weight.memory.name.rpartition(".") if weight else ("", "", "")
    return module if name in ("weight", "weight_quantized") else ""


def _scope(text: str) -> str | None:
    """The module in a list of scopes, whose last is the call itself."""
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        return None
    modules = [scope for scope in scopes[:-1] if scope]
    return re.sub(r"@\d+", "", modules[-1]) if modules else ""


def _joined(scopes: list[str]) -> str:
    """A path from scopes: `layer1`, `layer1.0`, `conv1` -> `layer1.0.conv1`."""
    path: list[str] = []
    for scope in scopes:
        if path and scope.startswith(f"{path[-1]}."):
            path.pop()
        path.append(scope)
    return ".".join(path)
