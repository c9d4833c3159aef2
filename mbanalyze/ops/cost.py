"""The cost of an operator or of a sum of operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mbanalyze.display.result import Result
from mbanalyze.ops.numbers import any_true

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
"""Name of a dtype -> bytes of one element."""

PRODUCTS = frozenset(
    {
        *("conv", "linear", "matmul", "einsum", "bilinear", "attention", "lstm", "gru", "rnn"),
        *("deform_conv", "sparse_matmul", "sampled_matmul", "affine_grid"),
    }
)
"""The kinds that multiply and accumulate; `Cost.activations` counts their outputs."""


class _Counts(NamedTuple):
    """The attributes of a `Cost`."""

    params: int = 0
    macs: Count = 0
    flops: Count = 0
    activations: Count = 0
    reads: int = 0
    writes: int = 0
    fixed: int = 0
    fixed_bytes: int = 0
    params_fixed: int = 0
    params_fixed_bytes: int = 0


class Cost(Result, _Counts):
    """The cost of an operator or of a sum of operators, in exact counts; None is unknown.

    A sum skips unknown counts and is unknown if every count is; `Report.complete` is False if any was skipped.

    Attributes:
        params: learned scalars, each counted once.
        macs: multiply-accumulates of convolutions, linear layers and matrix products, without bias.
            One of complex numbers is four of real numbers.
        flops: all arithmetic, two per multiply-accumulate.
        activations: output elements of convolutions, linear layers and matrix products.
        reads: elements read (activations, weights, buffers); an operator reads each distinct element once.
        writes: elements written.
        fixed: elements read and written whose item size does not depend on the report's dtype (an int64 index).
        fixed_bytes: bytes of the `fixed` elements.
        params_fixed: learned scalars whose item size does not depend on the report's dtype (complex, int8).
        params_fixed_bytes: bytes of the `params_fixed` scalars.
    """

    __slots__ = ()

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]  # of counts, not of tuples
        return total([self, other])

    @property
    def memory_access(self) -> int:
        """Elements read and written, with an ideal cache and no fusion."""
        return self.reads + self.writes

    def memory_access_bytes(self, itemsize: int = 4) -> int:
        """Return the bytes read and written at `itemsize` bytes an element."""
        return (self.memory_access - self.fixed) * itemsize + self.fixed_bytes

    def params_bytes(self, itemsize: int = 4) -> int:
        """Return the bytes of the learned scalars at `itemsize` bytes each."""
        return (self.params - self.params_fixed) * itemsize + self.params_fixed_bytes

    def arithmetic_intensity(self, itemsize: int = 4) -> float | None:
        """Return flops per byte of memory access; None if flops are unknown or no byte moves."""
        moved = self.memory_access_bytes(itemsize)
        return None if self.flops is None or not any_true(moved) else self.flops / moved

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
    """Return the sum of `costs`; every count is zero if the list is empty."""
    return Cost(*sums(costs))  # type: ignore[arg-type]


def sums(rows: Iterable[tuple[Count, ...]]) -> Iterator[Count]:
    """Yield the sum of each column of counts: it skips unknown counts, and is unknown if every count is."""
    for column in zip(*rows, strict=True):
        known = [count for count in column if count is not None]
        yield sum(known) if known else None
