"""A file of ONNX as a graph, without its weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_formats import ONNX, other_content
from mbanalyze.model_files.regular_file import opened

if TYPE_CHECKING:
    from onnx import ModelProto, OperatorSetIdProto

    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph


def read_onnx(path: Path) -> OnnxGraph:
    """Read a file of ONNX. Nothing outside the file is read, and nothing in the file is run.

    Raises:
        ModelFileError: the file is missing, damaged or too large, or `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelFileError("onnx is not installed: pip install 'mbanalyze[onnx]'") from error
    from google.protobuf.message import DecodeError

    from mbanalyze.model_files.onnx_file.graph_bytes import GraphBytes
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph

    with opened(path) as (file, size):
        reason = other_content(file.read(8), ONNX)
        if reason:
            raise ModelFileError(f"{path} {reason}")
        file.seek(0)
        try:
            model = onnx.ModelProto.FromString(GraphBytes(file, size).content)
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from error
        except DecodeError as error:
            raise ModelFileError(f"{path} is no file of ONNX, or is damaged: export it again") from error
    if not model.HasField("graph") or not model.graph.node:
        raise ModelFileError(f"{path} is no file of ONNX, or its graph is empty: export it again")
    _check_versions(path, model)
    return OnnxGraph(str(path), model)


def _check_versions(path: Path, model: ModelProto) -> None:
    """Raise an error if the installed `onnx` does not know the format or the operators of a file."""
    import onnx

    if model.ir_version > onnx.IR_VERSION:
        raise ModelFileError(
            f"{path} has version {model.ir_version} of the format, and onnx {onnx.__version__} knows versions "
            f"up to {onnx.IR_VERSION}: pip install --upgrade onnx"
        )
    if not model.opset_import:
        raise ModelFileError(f"{path} does not name its operator set: export it again")
    _check_operator_sets(path, model.opset_import)
    for function in model.functions:
        _check_operator_sets(path, function.opset_import)


def _check_operator_sets(path: Path, imports: Iterable[OperatorSetIdProto]) -> None:
    """Raise an error for a version of ONNX's own operators that the installed `onnx` does not know."""
    from onnx import defs

    newest = int(defs.onnx_opset_version())
    for entry in imports:
        if entry.domain in ("", "ai.onnx") and not 1 <= entry.version <= newest:
            raise ModelFileError(
                f"{path} uses operator set {entry.version}, and the installed onnx knows 1 to {newest}: "
                "export it with another opset_version, or pip install --upgrade onnx"
            )
