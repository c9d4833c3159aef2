"""The record everything rests on: an operator call seen as shapes (`Op`), and what it costs (`Cost`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from numbers import Integral
from operator import attrgetter
from typing import Literal, NamedTuple, TypeGuard, TypeVar

Shape = tuple[int, ...]
Role = Literal["activation", "weight", "buffer"]
Attribute = int | bool | str | tuple[int, ...]
Count = int | None
N = TypeVar("N", int, float)

ITEM_SIZES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int8": 1,
    "float64": 8,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}
"""Bytes of one element, by the name of its dtype."""

PRODUCTS = frozenset({"conv", "linear", "matmul", "einsum", "bilinear", "attention", "lstm", "gru", "rnn"})
"""The kinds that multiply and accumulate: their outputs are what `Cost.activations` counts."""


def is_shape(given: object) -> TypeGuard[Shape]:
    """Whether `given` is a tuple or list of integers, Python's or NumPy's."""
    return isinstance(given, tuple | list) and all(
        isinstance(size, Integral) and not isinstance(size, bool) for size in given
    )


def anywhere(condition: object) -> bool:
    """Whether `condition` is true, in any element where it is an array."""
    return bool(condition.any() if hasattr(condition, "any") else condition)


def at_least(least: N, number: N) -> N:
    """`number`, or `least` where it is less."""
    return number.at_least(least) if hasattr(number, "at_least") else max(least, number)


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


def _plus(a: Count, b: Count) -> Count:
    if a is None or b is None:
        return a if b is None else b
    return a + b


@dataclass(frozen=True, slots=True)
class Cost:
    """What an operator, or any sum of them, costs. Every count is exact; None is unknown.

    A sum skips what is unknown, and is unknown where nothing is known: `Report.complete` says
    whether anything was skipped.

    Attributes:
        params: learned scalars, each counted once.
        macs: multiply-accumulates of convolutions, linear layers and matrix products, without bias.
        flops: all arithmetic, two per multiply-accumulate.
        activations: output elements of convolutions, linear layers and matrix products.
        reads: elements read (activations, weights, buffers), each distinct one once per operator.
        writes: elements written.
        fixed: of the elements read and written, those whose item size is their own (an int64 index).
        fixed_bytes: the bytes of those.
    """

    params: int = 0
    macs: Count = 0
    flops: Count = 0
    activations: Count = 0
    reads: int = 0
    writes: int = 0
    fixed: int = 0
    fixed_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            _plus(self.macs, other.macs),
            _plus(self.flops, other.flops),
            _plus(self.activations, other.activations),
            self.reads + other.reads,
            self.writes + other.writes,
            self.fixed + other.fixed,
            self.fixed_bytes + other.fixed_bytes,
        )

    @property
    def memory_access(self) -> int:
        """Elements read and written: ideal cache, no fusion."""
        return self.reads + self.writes

    def memory_access_bytes(self, itemsize: int = 4) -> int:
        """Bytes read and written when an element takes `itemsize` bytes."""
        return (self.memory_access - self.fixed) * itemsize + self.fixed_bytes

    def params_bytes(self, itemsize: int = 4) -> int:
        """Bytes of the learned scalars when each takes `itemsize` bytes."""
        return self.params * itemsize

    def arithmetic_intensity(self, itemsize: int = 4) -> float | None:
        """Flops per byte of memory access; None when flops are unknown or no byte moves."""
        moved = self.memory_access_bytes(itemsize)
        return None if self.flops is None or not anywhere(moved) else self.flops / moved

    def _repr_html_(self) -> str:
        from mbanalyze.render.report import html_cost

        return html_cost(self)

    def as_dict(self, itemsize: int = 4) -> dict[str, int | float | None]:
        """The columns of a total, by name, when an element takes `itemsize` bytes."""
        return {
            "params": self.params,
            "macs": self.macs,
            "flops": self.flops,
            "activations": self.activations,
            "reads": self.reads,
            "writes": self.writes,
            "memory_access": self.memory_access,
            "memory_access_bytes": self.memory_access_bytes(itemsize),
            "arithmetic_intensity": self.arithmetic_intensity(itemsize),
            "params_bytes": self.params_bytes(itemsize),
        }


def total(costs: list[Cost]) -> Cost:
    """The sum of `costs`, zero in everything when there are none."""
    return Cost(*map(_sum, zip(*map(_counts, costs), strict=True))) if costs else Cost()  # type: ignore[arg-type]


_counts = attrgetter("params", "macs", "flops", "activations", "reads", "writes", "fixed", "fixed_bytes")


def _sum(counts: tuple[Count, ...]) -> Count:
    """The sum of what is known; unknown where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def si(count: int) -> str:
    """`count` to four significant digits with its SI prefix: 300774272 -> '300.8 M'.

    Rounds before choosing the prefix, so 999999 is '1.000 M'. Below 1000 the count is exact.
    """
    if abs(count) < 1000:
        return str(count)
    for power, prefix in enumerate("kMGTPE", 1):  # noqa: B007 (the last one is the answer)
        text = f"{count / 1000**power:#.4g}"
        if abs(float(text)) < 1000:
            break
    return f"{text.removesuffix('.')} {prefix}"


def si_bytes(count: int) -> str:
    """`count` bytes to four significant digits: 10545696 -> '10.55 MB'."""
    text = si(count)
    return f"{text}B" if " " in text else f"{text} B"
