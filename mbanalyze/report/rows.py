"""Rows of a report, and their groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost

T = TypeVar("T")

ROW_COUNTS = ("macs", "flops", "activations", "reads", "writes", "memory_access")
"""The counts of a row, after its params."""


class Row(NamedTuple):
    """One operator and its cost.

    Attributes:
        op: the operator.
        cost: its cost.
        parts: the recorded operators that it stands for, if they are not `op` itself.
    """

    op: Op
    cost: Cost
    parts: tuple[Op, ...] = ()

    @property
    def recorded(self) -> tuple[Op, ...]:
        """The recorded operators that the row stands for."""
        return self.parts or (self.op,)

    @property
    def merged(self) -> tuple[str, ...]:
        """The kinds of the operators that are merged into this one: ('batch_norm', 'relu6')."""
        return tuple([op.kind for op in self.parts[1:]])

    @property
    def type(self) -> str:
        """The kind of operator, with its variant: 'conv depthwise', 'linear'."""
        return f"{self.op.kind} {self.op.variant or ''}".strip()

    @property
    def types(self) -> str:
        """The type, and the kinds that are merged into it: 'conv depthwise + batch_norm + relu6'."""
        return " + ".join((self.type, *self.merged))

    def as_dict(self) -> dict[str, Any]:
        """Return the columns of a row by name; unknown counts are None."""
        return {
            "path": self.op.path,
            "kind": self.op.kind,
            "variant": self.op.variant,
            "merged": list(self.merged),
            "inputs": _shapes(self.op.inputs),
            "weights": _shapes(self.op.weights),
            "output": _shapes(self.op.output),
            "params": self.cost.params,
            "trainable_params": self.cost.params - self.op.frozen,
            **{name: getattr(self.cost, name) for name in ROW_COUNTS},
        }


def _shapes(values: tuple[Value, ...]) -> list[list[int]]:
    return [list(value.shape) for value in values]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share a key, and their total cost."""

    key: str
    rows: tuple[Row, ...]
    cost: Cost

    @property
    def complete(self) -> bool:
        """True if every operator is counted."""
        return all(row.cost.flops is not None for row in self.rows)

    @property
    def trainable_params(self) -> int:
        """The learned scalars that require a gradient."""
        return trainable_params(self.cost, self.rows)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its operators with their variants, each once: ('conv depthwise', 'add')."""
        return tuple(dict.fromkeys(row.types for row in self.rows))

    @property
    def output(self) -> tuple[Sizes, ...]:
        """The shapes that the last operator writes."""
        return tuple(value.shape for value in self.rows[-1].op.output) if self.rows else ()


def trainable_params(cost: Cost, rows: Iterable[Row]) -> int:
    """Return the learned scalars of some rows that require a gradient; `cost` is the cost of the rows."""
    return cost.params - sum(row.op.frozen for row in rows)


def group(key: str, rows: Sequence[Row]) -> Group:
    """Make a group; without rows, it costs nothing."""
    return Group(key, tuple(rows), total([row.cost for row in rows]))


def grouped(rows: Iterable[T], keys: Iterable[str]) -> dict[str, list[T]]:
    """Return the rows of each key, in order of first appearance."""
    groups: dict[str, list[T]] = {}
    for row, key in zip(rows, keys, strict=True):
        groups.setdefault(key, []).append(row)
    return groups


@dataclass(frozen=True, slots=True)
class Uncounted:
    """An operator without a formula, the module that called it, and the number of calls."""

    operator: str
    path: str
    times: int


def block(path: str) -> str:
    """Return the block of a module: its path up to the first number, or its first name.

    >>> block("features.3.conv.0.0"), block("layer1.0.bn1"), block("classifier")
    ('features.3', 'layer1.0', 'classifier')
    """
    numbered = re.match(r"(?:[^.]+\.)*?\d+(?=\.|$)", path)
    return numbered.group() if numbered else path.split(".", 1)[0]


KEYS: dict[str, Callable[[Row], str]] = {
    "op": lambda row: row.op.path,
    "module": lambda row: row.op.path,
    "block": lambda row: block(row.op.path),
    "kind": lambda row: row.op.kind,
}
"""The groupings of rows; `op` makes a group of each row."""


def rows(ops: list[Op] | tuple[Op, ...]) -> tuple[Row, ...]:
    """Return each operator with its cost."""
    return tuple([Row(op, cost(op)) for op in ops])
