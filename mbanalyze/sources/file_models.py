"""Models that arrive as files: graphs of ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.resolution import as_resolution
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, refusal, suffix_of
from mbanalyze.model_files.file_inputs import input_shapes
from mbanalyze.ops.registry import FormulaError
from mbanalyze.report.network import Report, versions
from mbanalyze.report.rows import rows

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph


def is_model_file(reference: str) -> bool:
    """Return True if a reference names a file that is read as a model.

    Raises:
        ModelFileError: it names an existing file of another format.
    """
    if suffix_of(reference) in MODEL_SUFFIXES:
        return True
    reason = refusal(reference)
    if reason and Path(reference).is_file():
        raise ModelFileError(reason)
    return False


def read_graph(
    name: str, options: Mapping[str, Any], inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[OnnxGraph, tuple[tuple[int, ...], ...]]:
    """Read a file of ONNX, and return it with the shapes of its inputs.

    Raises:
        ModelFileError: the file cannot be read.
        OptionError: an option is neither `batch` nor `resolution`.
        InputError: an input does not fit the file.
    """
    from mbanalyze.model_files.onnx_file.read_onnx import read_onnx

    unknown = next((option for option in options if option not in ("batch", "resolution")), None)
    if unknown is not None:
        raise OptionError(f"{name} is a file and has no option {unknown}: leave it out")
    graph = read_onnx(Path(name))
    image = options.get("resolution")
    shapes = input_shapes(
        name,
        graph.inputs,
        inputs,
        keywords,
        batch=options.get("batch"),
        resolution=None if image is None else as_resolution(image),
    )
    return graph, shapes


def no_module(name: str) -> NoReturn:
    """Raise the error of a command that needs a module."""
    raise ModelFileError(f"{name} has no PyTorch module to run: give the model itself, or a .pt2 file of it")


def refuse_settings(name: str, **settings: object) -> None:
    """Raise `OptionError` for a setting of a forward pass, which a graph does not run."""
    for setting, value in settings.items():
        if value:
            raise OptionError(f"{name} is a graph that is not run: leave out {setting}")


def recorded(
    name: str,
    options: Mapping[str, Any],
    graph: OnnxGraph,
    shapes: tuple[tuple[int, ...], ...],
    dtype: str | None,
) -> Report:
    """Return the report of a graph at inputs of the given shapes.

    Raises:
        ModelFileError: the graph is damaged, or a shape is unknown.
    """
    record = graph.record(shapes)
    try:
        counted = rows(record.ops)
    except FormulaError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{name}: the tensors of a node do not fit its operator: {error}") from error
    return Report(
        name,
        options,
        shapes,
        "file",
        counted,
        dtype or record.dtype,
        record.free,
        record.unused_params,
        versions=versions("onnx"),
        notes=record.notes,
        outputs=record.outputs,
    )
