"""`OnnxGraph`: a file of ONNX that can be counted at any input that it accepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod

from onnx import ModelProto, TensorProto

from mbanalyze.inputs.typed import Sizes
from mbanalyze.model_files.file_error import ModelFileError
from mbanalyze.model_files.file_inputs import FileInput
from mbanalyze.model_files.onnx_file.exporter_notes import exporter_notes
from mbanalyze.model_files.onnx_file.frame import Frame, described_types, stored_tensors
from mbanalyze.model_files.onnx_file.function_calls import check_calls, functions_by_name
from mbanalyze.model_files.onnx_file.graph_inputs import described_input, graph_inputs, input_type
from mbanalyze.model_files.onnx_file.graph_tensors import FLOATING, input_tensor
from mbanalyze.model_files.onnx_file.learned_names import looks_learned
from mbanalyze.model_files.onnx_file.node_paths import fill_scopes
from mbanalyze.model_files.onnx_file.quantised_steps import QuantisedSteps, scale_names
from mbanalyze.model_files.onnx_file.recording import Numbered, operator_of
from mbanalyze.model_files.onnx_file.roles import Roles
from mbanalyze.model_files.onnx_file.walk import DAMAGES, Walk
from mbanalyze.ops.record import Op


@dataclass(frozen=True, slots=True)
class OnnxRecord:
    """The operators of a graph at one input.

    Attributes:
        ops: every operator that does work, in order.
        outputs: the numbers of the activations that the graph returns.
        free: how often each node without cost was met, by operator.
        unused_params: the names of the initializers of several elements that no operator reads.
        notes: what the file has that a reader would not expect.
        dtype: the floating-point type of most weights.
    """

    ops: tuple[Op, ...]
    outputs: tuple[int, ...]
    free: Mapping[str, int]
    unused_params: tuple[str, ...]
    notes: tuple[str, ...]
    dtype: str


@dataclass(frozen=True)
class OnnxGraph:
    """A file of ONNX.

    Attributes:
        path: the file.
        model: its content, without weights that are stored outside.
    """

    path: str
    model: ModelProto

    @cached_property
    def inputs(self) -> tuple[FileInput, ...]:
        """The inputs, with the sizes that the file leaves open."""
        with self._named():
            return tuple(map(described_input, graph_inputs(self.model.graph)))

    def record(self, shapes: Sequence[Sizes]) -> OnnxRecord:
        """Return the operators at inputs of the given shapes, one for each of `inputs`.

        Raises:
            ModelFileError: the graph is damaged, a shape does not fit, or an operator's output is unknown.
        """
        with self._named():
            return self._record(shapes)

    def _record(self, shapes: Sequence[Sizes]) -> OnnxRecord:
        graph = self.model.graph
        infos = graph_inputs(graph)
        given = [input_tensor(input_type(i, s), i.name) for i, s in zip(infos, shapes, strict=True)]
        stored = stored_tensors(graph)
        frame = Frame(self.model.opset_import, described_types(graph), tensors={**stored})
        for info, tensor in zip(infos, given, strict=True):
            frame.write(info.name, tensor)
        fill_scopes(graph.node)
        walk = Walk(functions_by_name(self.model.functions))
        check_calls(graph.node, walk.functions)
        walk.run(graph.node, frame)
        returned = [
            tensor for each in graph.output if (t := frame.read(each.name)) for tensor in t.items or (t,)
        ]
        merged = QuantisedSteps({tensor.memory for tensor in returned})
        merged.add(walk.steps)
        roles = Roles(merged.steps)
        numbered = Numbered(roles, given)
        ops = tuple(operator_of(step, numbered) for step in merged.steps)
        outputs = tuple(numbered.value(tensor).number for tensor in returned)
        read = {
            tensor.memory for step in merged.steps for tensor in (*step.match.operands, *step.node.present())
        }
        settings = scale_names(graph.node)
        notes = exporter_notes(self.model, walk, merged.steps, roles)
        unused = tuple(
            name
            for name, tensor in stored.items()
            if tensor.memory not in read and name not in settings and looks_learned(tensor)
        )
        return OnnxRecord(ops, outputs, dict(walk.free + merged.free), unused, notes, self._dtype())

    def _dtype(self) -> str:
        """The floating-point type of most weights, or float32."""
        elements: Counter[int] = Counter()
        for initializer in self.model.graph.initializer:
            if initializer.data_type in FLOATING:
                elements[initializer.data_type] += prod(initializer.dims)
        most = elements.most_common(1)[0][0] if elements else TensorProto.FLOAT
        return _DTYPES.get(most, "float32")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Put the name of the file before errors."""
        try:
            yield
        except ModelFileError as error:
            raise ModelFileError(_one_line(f"{self.path}: {error}")) from error.__cause__
        except DAMAGES as error:
            message = f"{self.path} is damaged: {type(error).__name__}: {error}"
            raise ModelFileError(_one_line(message)) from error


def _one_line(message: str) -> str:
    """A message without line breaks and control characters, which names in a file may have."""
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return line if len(line) <= _MAX_MESSAGE else f"{line[:_MAX_MESSAGE]} ..."


_MAX_MESSAGE = 400


_DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}
