"""The path of the module that a node came from, as PyTorch's exporters write it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from itertools import takewhile

from onnx import NodeProto

from mbanalyze.inputs.strict_syntax import strict_syntax
from mbanalyze.model_files.onnx_file.node import OnnxNode

_SCOPES = "pkg.torch.onnx.name_scopes"
_REWRITES = "pkg.onnxscript.rewriter.rule_name"


def path_of(node: OnnxNode, around: str | None = None) -> str:
    """Return the path of a node's module, or the name of the node if no exporter of PyTorch wrote it.

    If a node with a path stands for this one, that path is `around`, and is returned instead of the name.

    The exporter of `torch.export` lists the scopes of a node. A convolution that it merged with a batch norm has the
    scopes of the batch norm, so the name of the weight decides. The exporter of TorchScript names a node
    `/features/features.0/features.0.1/Conv`, where a name repeats that of the list that holds the module.
    """
    proto = node.proto
    modules = _modules(proto)
    if modules is not None:
        merged = _module_of_weight(node) if holds_norm(proto) else ""
        return merged or (re.sub(r"@\d+", "", modules[-1]) if modules else "")
    if proto.name.startswith("/"):
        return _as_its_weight(_joined(proto.name.split("/")[1:-1]), _module_of_weight(node))
    return proto.name if around is None else around


def holds_norm(proto: NodeProto) -> bool:
    """Return True for a node that the exporter of `torch.export` merged with a batch norm."""
    return any(entry.key == _REWRITES and "BatchNorm" in entry.value for entry in proto.metadata_props)


def fill_scopes(nodes: Iterable[NodeProto]) -> None:
    """Give each node that an exporter left without scopes those that the nodes before and after it share."""
    found = [(proto, _modules(proto)) for proto in nodes]
    before = _last_known([modules for _, modules in found])
    after = _last_known([modules for _, modules in reversed(found)])[::-1]
    for (proto, modules), *around in zip(found, before, after, strict=True):
        known = [each for each in around if each is not None]
        if modules is None and known:
            same = takewhile(lambda pair: pair[0] == pair[1], zip(known[0], known[-1], strict=False))
            proto.metadata_props.add(key=_SCOPES, value=repr([*(scope for scope, _ in same), ""]))


def _last_known(found: Iterable[list[str] | None]) -> list[list[str] | None]:
    """Replace each None by the item before it."""
    known: list[list[str] | None] = []
    for each in found:
        known.append(each if each is not None or not known else known[-1])
    return known


def _module_of_weight(node: OnnxNode) -> str:
    """The module of the parameter `module.weight` that a product or a normalisation reads, or ""."""
    weight = node.optional(1) if node.operator in _WITH_WEIGHT else None
    module, _, name = weight.memory.name.rpartition(".") if weight else ("", "", "")
    return module if name in ("weight", "weight_quantized") else ""


_WITH_WEIGHT = frozenset(
    {
        *("Conv", "ConvTranspose", "Gemm", "PRelu"),
        *("BatchNormalization", "InstanceNormalization", "LayerNormalization"),
    }
)
"""The operators whose second input is the weight of their module."""


def _as_its_weight(path: str, module: str) -> str:
    """The path of a node with a weight of `module`: `fc` for `head.fc`, or `conv_1` for a second call of `conv`."""
    called = re.sub(r"_\d+$", "", path)
    return module if path and f".{module}".endswith((f".{path}", f".{called}")) else path


def _modules(proto: NodeProto) -> list[str] | None:
    """The modules that a node is in, outermost first; None if no list of scopes says so."""
    for entry in proto.metadata_props:
        if entry.key == _SCOPES and (scopes := _texts(entry.value)) is not None:
            return [scope for scope in scopes[:-1] if scope]
    return None


def _texts(text: str) -> list[str] | None:
    """A list of texts as Python writes it, or None."""
    try:
        with strict_syntax():
            found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, list) and all(isinstance(each, str) for each in found) else None


def _joined(scopes: list[str]) -> str:
    """A path from scopes: `layer1`, `layer1.0`, `conv1` -> `layer1.0.conv1`."""
    path: list[str] = []
    for scope in scopes:
        if path and scope.startswith(f"{path[-1]}."):
            path.pop()
        path.append(scope)
    return ".".join(path)
