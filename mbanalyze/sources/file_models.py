"""Models that arrive as files: which references name one, its options, and the report of a graph of ONNX."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution
from mbanalyze.inputs.typed import InputError, is_whole
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, ONNX, refusal, suffix_of
from mbanalyze.model_files.file_inputs import input_shapes
from mbanalyze.ops.registry import FormulaError
from mbanalyze.report.network import Report, versions
from mbanalyze.report.rows import rows

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph


def is_model_file(reference: str) -> bool:
    """Return True if a reference names a file that is read as a model.

    Raises:
        ModelFileError: it names a file of another format.
    """
    if suffix_of(reference) in MODEL_SUFFIXES:
        return True
    reason = refusal(reference)
    if reason and (":" not in reference or Path(reference).is_file()):
        raise ModelFileError(reason)
    return False


def is_graph(what: object) -> bool:
    """Return True if a model reference or path names a file of ONNX, which has no module."""
    if isinstance(what, os.PathLike):
        what = os.fspath(what)
    return isinstance(what, str) and suffix_of(split_reference(what)[0]) == ONNX


def open_sizes(name: str, options: Mapping[str, Any]) -> tuple[int | None, Resolution | None]:
    """Return the batch and the resolution that a user gives for a model file, which has to exist.

    Raises:
        OptionError: an option is neither `batch` nor `resolution`.
        InputError: the batch or the resolution is malformed.
        ModelFileError: the file is missing.
    """
    unknown = next((option for option in options if option not in ("batch", "resolution")), None)
    if unknown is not None:
        raise OptionError(f"{name} is a file and has no option {unknown}: leave it out")
    batch, image = options.get("batch"), options.get("resolution")
    if batch is not None and (not is_whole(batch) or batch < 1):
        raise InputError(f"batch must be a whole number above 0, not {batch!r}")
    _require_file(name)
    return batch, None if image is None else as_resolution(image)


def _require_file(name: str) -> None:
    """Raise `ModelFileError` if a model file is missing, or if Git LFS has stored it elsewhere."""
    place = Path(name)
    if not os.path.lexists(place):
        raise ModelFileError(f"there is no file {name}")
    if place.is_file() and place.stat().st_size < _MAX_POINTER and place.read_bytes().startswith(_POINTER):
        raise ModelFileError(f"{name} is stored in Git LFS, and is not here: run git lfs pull")


_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_POINTER = 1024


def read_graph(
    name: str, options: Mapping[str, Any], inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[OnnxGraph, tuple[tuple[int, ...], ...]]:
    """Read a file of ONNX, and return it with the shapes of its inputs.

    Raises:
        ModelFileError: the file cannot be read.
        OptionError, InputError: as `open_sizes`, or an input does not fit the file.
    """
    from mbanalyze.model_files.onnx_file.read_onnx import read_onnx

    batch, resolution = open_sizes(name, options)
    graph = read_onnx(Path(name))
    return graph, input_shapes(name, graph.inputs, inputs, keywords, batch=batch, resolution=resolution)


def no_module(name: str, advice: str = "") -> NoReturn:
    """Raise the error of a command that needs a module; `advice` names another command."""
    also = f"; {advice}" if advice else ""
    raise ModelFileError(
        f"{name} has no PyTorch module to run: give the model itself, or a .pt2 file of it{also}"
    )


def refuse_settings(name: str, **settings: object) -> None:
    """Raise `OptionError` for a setting of a forward pass, which a graph does not run."""
    for setting, value in settings.items():
        if value:
            given = f"{setting} {value}" if isinstance(value, str) else setting
            raise OptionError(f"{name} is a graph without modules, and is not run: leave out {given}")


def elements_of(graph: OnnxGraph, names: Iterable[str]) -> int:
    """Return the number of elements of some initializers of a graph."""
    sizes = {each.name: prod(each.dims) for each in graph.model.graph.initializer}
    return sum(sizes.get(name, 0) for name in names)


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
