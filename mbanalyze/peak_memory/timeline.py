"""The tensors in memory while a network runs: each is alive from one step to another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

from mbanalyze.inputs.typed import Sizes

Account = Literal["ideal", "eager", "deployed"]
"""A way to decide which tensors are alive."""
ACCOUNTS: tuple[Account, ...] = get_args(Account)
"""The names of the accounts."""


class Step(NamedTuple):
    """One operator that runs.

    Attributes:
        path: qualified name of the module that calls it, "" for the root.
        kind: the operator.
    """

    path: str
    kind: str


class Lifetime(NamedTuple):
    """One tensor in memory.

    Attributes:
        path: qualified name of the module that wrote it, "" for the root.
        kind: the operator that wrote it, or `input`.
        shape: its sizes.
        bytes: the memory that it takes.
        first: the first step during which it is alive.
        last: the last step during which it is alive.
    """

    path: str
    kind: str
    shape: Sizes
    bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=False)
class Timeline:
    """The activations in memory, step by step.

    Attributes:
        steps: the operators, in the order in which they run.
        lifetimes: the tensors, in the order in which they are made.
    """

    steps: tuple[Step, ...]
    lifetimes: tuple[Lifetime, ...]

    @cached_property
    def live_bytes(self) -> tuple[int, ...]:
        """The bytes alive during each step."""
        changes = [0] * (len(self.steps) + 1)
        for tensor in self.lifetimes:
            changes[tensor.first] += tensor.bytes
            changes[tensor.last + 1] -= tensor.bytes
        return tuple(accumulate(changes[:-1]))

    @property
    def peak_bytes(self) -> int:
        """The largest number of bytes alive during a step; 0 without steps."""
        return max(self.live_bytes, default=0)

    @property
    def peak(self) -> int:
        """The first step during which `peak_bytes` are alive.

        Raises:
            ValueError: there are no steps.
        """
        if not self.steps:
            raise ValueError("a network without operators has no peak")
        return self.live_bytes.index(self.peak_bytes)

    def alive(self, step: int) -> list[Lifetime]:
        """Return the tensors that are alive during a step, the largest first."""
        return largest_first(tensor for tensor in self.lifetimes if tensor.first <= step <= tensor.last)


def largest_first(tensors: Iterable[Lifetime]) -> list[Lifetime]:
    """Return tensors by decreasing size; those of equal size keep their order."""
    return sorted(tensors, key=lambda tensor: -tensor.bytes)
