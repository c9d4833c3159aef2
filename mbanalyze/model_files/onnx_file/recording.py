"""Steps of a walk as operators whose tensors have roles and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from onnx import helper

from mbanalyze.model_files.onnx_file.graph_tensors import COMPLEX, FLOATING, PACKED, GraphTensor, TensorMemory
from mbanalyze.model_files.onnx_file.node_steps import NodeStep
from mbanalyze.model_files.onnx_file.roles import Roles
from mbanalyze.ops.record import Op, Role, Value


class Numbered:
    """The tensors of each role, numbered in order of first appearance.

    Attributes:
        counted: the weights that an operator has read.
    """

    def __init__(self, roles: Roles, inputs: Sequence[GraphTensor]) -> None:
        """Start with the inputs as the first activations."""
        self._roles = roles
        self._numbers: dict[TensorMemory, tuple[Role, int]] = {}
        self._next: dict[Role, int] = {"activation": 0, "weight": 0, "buffer": 0}
        self.counted: set[TensorMemory] = set()
        for tensor in inputs:
            self.value(tensor)

    def value(self, tensor: GraphTensor) -> Value:
        """Return a tensor as an operator reads or writes it."""
        found = self._numbers.get(tensor.memory)
        if found is None:
            role = self._roles.role_of(tensor)
            found = self._numbers[tensor.memory] = role, self._next[role]
            self._next[role] += 1
        stored = tensor.stored
        size = None if stored in FLOATING else item_size(stored)
        return Value(
            *found, tensor.shape, strides=tensor.strides, itemsize=size, is_complex=stored in COMPLEX
        )

    def params(self, read: Sequence[Value], operands: Sequence[GraphTensor]) -> int:
        """Return the learned scalars among operands that no earlier operator has read."""
        new = {}
        for value, tensor in zip(read, operands, strict=True):
            if value.role == "weight" and tensor.memory not in self.counted:
                new[tensor.memory] = value.size
        self.counted.update(new)
        return sum(new.values())


def packed_elements(steps: Iterable[NodeStep]) -> dict[TensorMemory, int]:
    """Return the number of elements of each tensor whose elements take less than a byte."""
    tensors = [tensor for step in steps for tensor in (*step.match.operands, *step.outputs)]
    return {tensor.memory: prod(tensor.shape) for tensor in tensors if tensor.stored in PACKED}


def item_size(element_type: int) -> int:
    """Return the bytes of one element; those of less than a byte take one."""
    return int(helper.tensor_dtype_to_np_dtype(element_type).itemsize)


def operator_of(step: NodeStep, numbered: Numbered) -> Op:
    """Return a step as an operator."""
    operands = step.match.operands
    read = tuple(numbered.value(tensor) for tensor in operands)
    params = numbered.params(read, operands)
    written = tuple(numbered.value(tensor) for tensor in step.outputs[: step.match.outputs])
    attributes = tuple(sorted(step.match.attributes.items()))
    return Op(step.path, step.match.kind, read, written, params, attributes, step.node.operator)
