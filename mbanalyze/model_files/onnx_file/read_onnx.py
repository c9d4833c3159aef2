"""A file of ONNX as a graph, without the weights that it stores outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mbanalyze.model_files.file_error import MAX_GRAPH_BYTES, ModelFileError

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph


def read_onnx(path: Path) -> OnnxGraph:
    """Read a file of ONNX. Nothing outside of it is read, and nothing in it is run.

    Raises:
        ModelFileError: the file is missing, damaged or too large, or `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ModelFileError("onnx is not installed: pip install 'mbanalyze[onnx]'") from error
    from google.protobuf.message import DecodeError

    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph

    try:
        size = path.stat().st_size
        if size > MAX_GRAPH_BYTES:
            raise ModelFileError(
                f"{path} has {size:,} bytes: save its weights outside (save_as_external_data)"
            )
        model = onnx.ModelProto.FromString(path.read_bytes())
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    except DecodeError as error:
        raise ModelFileError(f"{path} is no file of ONNX, or is damaged: export it again") from error
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise ModelFileError(f"{path} is no file of ONNX, or its graph is empty: export it again")
    return OnnxGraph(str(path), model)
