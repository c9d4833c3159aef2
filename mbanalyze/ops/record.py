"""The record of an operator call (`Op`) and of the tensors that it reads and writes (`Value`), as shapes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal, NamedTuple

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.numbers import any_true
from mbanalyze.ops.strides import distinct_elements

Role = Literal["activation", "weight", "buffer"]
Attribute = int | bool | str | tuple[int, ...]


def contiguous_strides(shape: Sizes) -> tuple[int, ...]:
    """Return the strides, in elements, of a contiguous tensor of `shape`."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def canonical_strides(shape: Sizes, strides: Sequence[int]) -> tuple[int, ...] | None:
    """Return `strides` as a `Value` stores them: None if contiguous, 0 for a dimension of one element."""
    several = [any_true(n != 1) for n in shape]
    expected = contiguous_strides(shape)
    if not any(s and any_true(a != b) for s, a, b in zip(several, strides, expected, strict=True)):
        return None
    return tuple(stride if s else 0 for s, stride in zip(several, strides, strict=True))


def strides_between(shape: tuple[int, ...], strides: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a tensor that is not contiguous as a `Value` stores them."""
    return tuple([stride if n != 1 else 0 for n, stride in zip(shape, strides, strict=True)])


class Value(NamedTuple):
    """A tensor, or a view of one, that an operator reads or writes.

    Attributes:
        role: an activation (computed for this input), a weight (learned) or a buffer (stored, not learned).
        number: index of the tensor among those of its role, in order of first appearance.
            A view has the number of its tensor.
        shape: sizes, outermost first (images are `n c h w`).
        offset: elements between the start of the tensor and the first element of this view.
        strides: elements between neighbours along each dimension; None if contiguous.
        itemsize: bytes of one element if fixed (an int64 index), or None to use the report's dtype.
        is_complex: True if the elements are complex numbers; their item size is fixed.
    """

    role: Role
    number: int
    shape: Sizes
    offset: int = 0
    strides: tuple[int, ...] | None = None
    itemsize: int | None = None
    is_complex: bool = False

    @property
    def size(self) -> int:
        """Distinct elements: a broadcast dimension (stride 0) holds one, and overlapping windows share elements."""
        shape, strides = self.shape, self.strides
        if strides is None:
            return prod(shape)
        return distinct_elements([(n, s) for n, s in zip(shape, strides, strict=True) if any_true(s)])

    @property
    def extent(self) -> int:
        """Elements from the start of the tensor to the last element of this view: the memory that it needs."""
        shape, strides = self.shape, self.strides
        if strides is None or not any_true(prod(shape)):
            return self.offset + prod(shape)
        return self.offset + 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))


class Op(NamedTuple):
    """One operator call as shapes. A trace and a closed form of the same network give equal lists of these.

    Attributes:
        path: qualified name of the module that made the call (`features.3.conv.0.0`), "" for the root.
        kind: the operator (`conv`, `linear`, `batch_norm`, `add`, ...).
        operands: the values read, in the order of the operator's signature.
        output: the values written.
        params: learned scalars among the operands that no earlier operator of the network read.
        attributes: settings that the shapes do not give, sorted by name.
        operator: PyTorch's name, with a final `_` if the output overwrites an operand; "" in a closed form.
        frozen: those of its `params` that do not require a gradient.
        overwrites: for an operator in place, the number of the activation in whose memory each output is; the
            output may be a part of that memory. None for an output in other memory. Empty if there is no other.

    Equality ignores `operator`, `frozen` and `overwrites`, because the work is the same.
    """

    path: str
    kind: str
    operands: tuple[Value, ...]
    output: tuple[Value, ...]
    params: int = 0
    attributes: tuple[tuple[str, Attribute], ...] = ()
    operator: str = ""
    frozen: int = 0
    overwrites: tuple[int | None, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Op) and self[:-3] == other[:-3]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:-3])

    def _reads(self, role: Role) -> tuple[Value, ...]:
        return tuple(value for value in self.operands if value.role == role)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The activations read."""
        return self._reads("activation")

    @property
    def weights(self) -> tuple[Value, ...]:
        """The weights read."""
        return self._reads("weight")

    @property
    def buffers(self) -> tuple[Value, ...]:
        """The buffers read."""
        return self._reads("buffer")

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute `name`, or None if this operator does not have it."""
        for known, value in self.attributes:
            if known == name:
                return value
        return None

    @property
    def groups(self) -> int:
        """The groups of a convolution, derived from its shapes; 1 if it has no input channels."""
        weight = self.operands[1].shape
        image = self.output[0] if self.attribute("transposed") else self.operands[0]
        return image.shape[1 - len(weight)] // weight[1] if any_true(weight[1]) else 1

    @property
    def variant(self) -> str | None:
        """The type of a convolution: pointwise, depthwise, grouped or standard; None for other kinds."""
        if self.kind != "conv":
            return None
        image, weight = self.operands[0].shape, self.operands[1].shape
        if self.groups == 1:
            return "pointwise" if prod(weight[2:]) == 1 else "standard"
        return "depthwise" if self.groups == image[1 - len(weight)] else "grouped"
