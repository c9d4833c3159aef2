"""What operators cost: `Cost`, and its sum."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from mbanalyze.display.result import Result
from mbanalyze.ops.numbers import anywhere

Count = int | None

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


def _plus(a: Count, b: Count) -> Count:
    if a is None or b is None:
        return a if b is None else b
    return a + b


@dataclass(frozen=True, slots=True, repr=False)
class Cost(Result):
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

    def records(self) -> list[dict[str, Any]]:
        """Return the totals as one record."""
        return [self.as_dict()]


def total(costs: list[Cost]) -> Cost:
    """The sum of `costs`, zero in everything when there are none."""
    return Cost(*map(_sum, zip(*map(_counts, costs), strict=True))) if costs else Cost()  # type: ignore[arg-type]


_counts = attrgetter("params", "macs", "flops", "activations", "reads", "writes", "fixed", "fixed_bytes")


def _sum(counts: tuple[Count, ...]) -> Count:
    """The sum of what is known; unknown where nothing is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
