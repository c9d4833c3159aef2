"""A report as a tree of modules, with what each of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from mbanalyze.ops.cost import Cost, total
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row


@dataclass(frozen=True, slots=True)
class Node:
    """A module, or one operator of it.

    Attributes:
        parent: which node of the tree it is part of, counted from 0; None for the network.
        label: its name within that one; of modules that hold nothing but one module, all their names.
        path: qualified name of the module, "" for the network.
        rows: the operators below it, or the one that it is.
        cost: what they cost together.
    """

    parent: int | None
    label: str
    path: str
    rows: tuple[Row, ...]
    cost: Cost

    @property
    def complete(self) -> bool:
        """Whether every operator was counted."""
        return all(row.cost.flops is not None for row in self.rows)


def tree(report: Report) -> list[Node]:
    """The network, and below it its modules and operators, each after what it is part of.

    Leaves are operators: those of a module with several, or with modules in it, are called by their kind.
    """
    nodes = [Node(None, report.model, "", report.rows, report.totals)]
    for at, node in enumerate(nodes):
        if at == 0 or len(node.rows) > 1:
            nodes += _parts(at, node)
    return nodes


def _parts(at: int, node: Node) -> Iterator[Node]:
    """What the module `node`, number `at`, is made of: its own operators one by one, and modules."""
    start = len(node.path) + 1 if node.path else 0
    parts: dict[str | int, list[Row]] = {}
    for i, row in enumerate(node.rows):
        name = row.op.path[start:].split(".", 1)[0]
        parts.setdefault(name if row.op.path != node.path else i, []).append(row)
    for rows in parts.values():
        path = _common(row.op.path for row in rows)
        cost = total([row.cost for row in rows])
        yield Node(at, path[start:] or rows[0].op.kind, path, tuple(rows), cost)


def _common(paths: Iterable[str]) -> str:
    """The innermost module that all `paths` are in, or are."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len({*names}) == 1, levels))
