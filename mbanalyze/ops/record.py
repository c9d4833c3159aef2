"""The record everything rests on: an operator call seen as shapes (`Op`), and what it costs (`Cost`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, NamedTuple

from mbanalyze.inputs.typed import Shape
from mbanalyze.ops.numbers import anywhere

Role = Literal["activation", "weight", "buffer"]
Attribute = int | bool | str | tuple[int, ...]


def contiguous(shape: Shape) -> tuple[int, ...]:
    """Strides of a tensor of `shape` whose elements lie one after the other."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def canonical(shape: Shape, strides: Sequence[int]) -> tuple[int, ...] | None:
    """`strides` as a `Value` holds them: None when contiguous, 0 where a dimension has one element."""
    moves = [anywhere(n != 1) for n in shape]
    packed = contiguous(shape)
    if not any(m and anywhere(a != b) for m, a, b in zip(moves, strides, packed, strict=True)):
        return None
    return tuple(stride if m else 0 for m, stride in zip(moves, strides, strict=True))


class Value(NamedTuple):
    """A tensor as an operator sees it.

    Attributes:
        role: an activation (computed for this input), a weight (learned), or a buffer (stored, not learned).
        number: which tensor of that role, counted from 0 in the order in which they first appear; a
            view keeps the number of the tensor it looks into.
        shape: sizes, outermost first (images are `n c h w`).
        offset: elements between the start of the tensor and the first element of this view.
        strides: elements between neighbours along each dimension; None when contiguous.
        itemsize: bytes of one element, or None for whatever the report assumes (an int64 index is
            8 bytes whatever the precision of the network).
    """

    role: Role
    number: int
    shape: Shape
    offset: int = 0
    strides: tuple[int, ...] | None = None
    itemsize: int | None = None

    @property
    def size(self) -> int:
        """Distinct elements: a broadcast dimension (stride 0) holds one, overlapping windows share theirs."""
        if self.strides is None:
            return prod(self.shape)
        moving = [(n, stride) for n, stride in zip(self.shape, self.strides, strict=True) if anywhere(stride)]
        size, span = prod(n for n, _ in moving), 1 + sum((n - 1) * stride for n, stride in moving)
        return span if anywhere(span < size) else size


@dataclass(frozen=True, slots=True)
class Op:
    """One operator call, seen as shapes. Two producers that saw the same work give equal lists of these.

    Attributes:
        path: qualified name of the module that made the call (`features.3.conv.0.0`), "" for the root.
        kind: the operator (`conv`, `linear`, `batch_norm`, `add`, ...).
        operands: what is read, in the order of the operator's own signature.
        output: what is written.
        params: learned scalars of the operands that no earlier operator of the network read.
        attributes: the few settings that a formula needs and the shapes do not give, sorted by name.
        operator: what PyTorch calls it, with a `_` at the end where the output overwrites an operand; ""
            in a closed form. The work is the same, so it is not compared.
    """

    path: str
    kind: str
    operands: tuple[Value, ...]
    output: tuple[Value, ...]
    params: int = 0
    attributes: tuple[tuple[str, Attribute], ...] = ()
    operator: str = field(default="", compare=False)

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
        """The setting called `name`, or None when this operator has none."""
        for known, setting in self.attributes:
            if known == name:
                return setting
        return None

    @property
    def groups(self) -> int:
        """Groups of a convolution, from its shapes."""
        weight = self.operands[1].shape
        image = self.output[0] if self.attribute("transposed") else self.operands[0]
        return image.shape[1 - len(weight)] // weight[1]

    @property
    def variant(self) -> str | None:
        """What sort of convolution: pointwise, depthwise, grouped or standard; None for other kinds."""
        if self.kind != "conv":
            return None
        image, weight = self.operands[0].shape, self.operands[1].shape
        if self.groups == 1:
            return "pointwise" if prod(weight[2:]) == 1 else "standard"
        return "depthwise" if self.groups == image[1 - len(weight)] else "grouped"
