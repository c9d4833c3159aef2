"""Quantised tensors between steps: a step reads and writes them itself where the engine of a device does.

A `DequantizeLinear` is the quantised tensor as its readers take it. A `QuantizeLinear` is part of the step before it
if no other step reads what that one writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from onnx import NodeProto

from mbanalyze.model_files.onnx_file.graph_tensors import FLOATING, GraphTensor, TensorMemory
from mbanalyze.model_files.onnx_file.node import OnnxNode
from mbanalyze.model_files.onnx_file.node_steps import NodeStep

_QUANTIZE = frozenset({"QuantizeLinear", "com.microsoft::QuantizeLinear"})
_DEQUANTIZE = frozenset({"DequantizeLinear", "com.microsoft::DequantizeLinear"})


def scale_names(nodes: Iterable[NodeProto]) -> set[str]:
    """Return the names of the scales and zero points of quantised tensors."""
    quantisers = ("QuantizeLinear", "DequantizeLinear")
    return {name for node in nodes if node.op_type in quantisers for name in node.input[1:]}


@dataclass(slots=True)
class QuantisedSteps:
    """Steps whose quantised tensors are read and written without nodes between.

    Attributes:
        returned: the memory of the tensors that the graph returns, which have to be written in their own type.
        steps: the steps so far.
        free: how often each node without a step of its own was met, by operator.
    """

    returned: Collection[TensorMemory]
    steps: list[NodeStep] = field(default_factory=list)
    free: Counter[str] = field(default_factory=Counter)
    _sources: dict[TensorMemory, GraphTensor] = field(default_factory=dict)
    _settings: dict[TensorMemory, OnnxNode] = field(default_factory=dict)
    _writers: dict[TensorMemory, int] = field(default_factory=dict)

    def add(self, steps: Sequence[NodeStep]) -> None:
        """Add all steps of a graph."""
        readers = Counter(
            memory for step in steps for memory in {tensor.memory for tensor in step.match.operands}
        )
        readers.update(self.returned)
        for step in steps:
            found = self._with_sources(step)
            if self._is_merged(step, found, readers):
                self.free[step.node.operator] += 1
            else:
                self._writers.update((tensor.memory, len(self.steps)) for tensor in found.outputs)
                self.steps.append(found)

    def _with_sources(self, step: NodeStep) -> NodeStep:
        """The step with the quantised tensors that it reads."""
        inputs = tuple(None if tensor is None else self._source(tensor) for tensor in step.node.inputs)
        operands = tuple(map(self._source, step.match.operands))
        return replace(
            step, node=replace(step.node, inputs=inputs), match=step.match._replace(operands=operands)
        )

    def _source(self, tensor: GraphTensor) -> GraphTensor:
        """The tensor in the memory of the quantised tensor that it stands for, if any."""
        source = self._sources.get(tensor.memory)
        if source is None:
            return tensor
        strides = source.strides if tensor.shape == source.shape else tensor.strides
        return replace(tensor, memory=source.memory, stored=source.stored, strides=strides)

    def _is_merged(self, step: NodeStep, found: NodeStep, readers: Counter[TensorMemory]) -> bool:
        """True for a node that other steps do themselves."""
        if step.node.operator in _QUANTIZE:
            return self._is_written_quantised(step, found, readers)
        return step.node.operator in _DEQUANTIZE and self._is_read_quantised(step, found)

    def _is_read_quantised(self, step: NodeStep, found: NodeStep) -> bool:
        """True for a dequantisation that its readers do themselves, which is noted."""
        memory = step.outputs[0].memory
        if memory in self.returned:
            return False
        self._sources[memory] = found.match.operands[0]
        self._settings[memory] = step.node
        return True

    def _is_written_quantised(self, step: NodeStep, found: NodeStep, readers: Counter[TensorMemory]) -> bool:
        """True for a quantisation that changes nothing, or that the step before it does itself, which is noted."""
        (read,), (output,) = found.match.operands, step.outputs
        before = step.match.operands[0].memory
        if before in self._sources:
            same = _same_settings(self._settings[before], step.node) and read.stored == output.stored
            if same and output.memory not in self.returned:
                self._sources[output.memory] = read
                return True
            return False
        writer = self._writers.get(before)
        if writer is None or readers[before] != 1 or read.stored not in FLOATING:
            return False
        self._quantise(writer, before, output)
        return True

    def _quantise(self, writer: int, before: TensorMemory, output: GraphTensor) -> None:
        """Let a step write the quantised tensor."""
        step = self.steps[writer]
        outputs = tuple(
            replace(tensor, memory=output.memory, stored=output.stored) if tensor.memory is before else tensor
            for tensor in step.outputs
        )
        self.steps[writer] = replace(step, outputs=outputs)
        self._writers[output.memory] = writer


def _same_settings(first: OnnxNode, second: OnnxNode) -> bool:
    """True if two nodes have the same scale and zero point for all elements of a tensor."""
    return all(_same_scalar(first.optional(place), second.optional(place)) for place in (1, 2))


def _same_scalar(first: GraphTensor | None, second: GraphTensor | None) -> bool:
    if first is None or second is None:
        return first is second
    if any(size != 1 for size in (*first.shape, *second.shape)):
        return False
    if first.memory is second.memory:
        return True
    return first.value is not None and second.value is not None and np.array_equal(first.value, second.value)
