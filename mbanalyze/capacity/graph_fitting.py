"""The memory of a forward of an ONNX file, by the account `ideal`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mbanalyze.capacity.peak import CapacityError, Memory
from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.sources.resolved_model import ResolvedModel

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph
    from mbanalyze.trace.training_step import MemoryPeak

UNTRAINED = "the file has no PyTorch module to train: give the model itself, or a .pt2 file of it"


def graph_shapes(name: str, model: ResolvedModel, graph: OnnxGraph) -> tuple[Sizes, ...]:
    """Return the shapes of the inputs that have the open batch, without it.

    Raises:
        CapacityError: the first size of the first input is fixed.
    """
    first = graph.inputs[0].sizes[:1] if graph.inputs else ()
    if not first or isinstance(first[0], int):
        raise CapacityError(
            f"{name} fixes its batch: export it with a dynamic one, or let mbanalyze memory say what it takes"
        )
    described = zip(graph.inputs, model.inputs, strict=True)
    return tuple(given[1:] for each, given in described if each.sizes[:1] == first)


def graph_peak(
    model: ResolvedModel, graph: OnnxGraph, batch: int, dtype: str | None
) -> MemoryPeak | ModelFileError:
    """Return the weights, and the activations at their peak, with another batch; an error if the file refuses it."""
    from mbanalyze.trace.training_step import MemoryPeak, MemorySplit

    opened = graph.inputs[0].sizes[0]
    shapes = tuple(
        tuple(batch if size == opened else known for size, known in zip(each.sizes, given, strict=True))
        for each, given in zip(graph.inputs, model.inputs, strict=True)
    )
    try:
        memory = Memory(replace(model, inputs=shapes).report(dtype=dtype))
    except ModelFileError as error:
        return error
    stored = memory.stored_bytes("ideal")
    params = memory.report.totals.params_bytes(memory.report.itemsize)
    split = MemorySplit(params=params, buffers=stored - params, activations=memory.peak_bytes)
    return MemoryPeak(sum(split), split, "forward")
