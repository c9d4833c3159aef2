"""A report as a tree of modules, with the cost of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from mbanalyze.ops.cost import Cost, total
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row


@dataclass(frozen=True, slots=True)
class Node:
    """A module, or one operator of a module.

    Attributes:
        parent: the index of its parent in the list of nodes; None for the network.
        label: its name within its parent; a chain of modules with one child each has one label.
        path: qualified name of the module, "" for the network.
        rows: its operators.
        cost: their total cost.
    """

    parent: int | None
    label: str
    path: str
    rows: tuple[Row, ...]
    cost: Cost

    @property
    def complete(self) -> bool:
        """True if every operator is counted."""
        return all(row.cost.flops is not None for row in self.rows)


def tree(report: Report) -> list[Node]:
    """Return the network, its modules and its operators, each after its parent.

    Leaves are operators. If a module has several, or has child modules, each operator is labelled by its kind.
    """
    nodes = [Node(None, report.model, "", report.rows, report.totals)]
    for at, node in enumerate(nodes):
        if at == 0 or len(node.rows) > 1:
            nodes += _parts(at, node)
    return nodes


def _parts(at: int, node: Node) -> Iterator[Node]:
    """The children of `node`, which has index `at`: its own operators and its child modules."""
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
    """The innermost module that contains all `paths`."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len({*names}) == 1, levels))
