"""A report as a tree of modules, with the cost of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from mbanalyze.ops.cost import Cost, total
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row
from mbanalyze.report.runs import runs

CHILDREN = 100
"""The number of children that a node has at most; runs of neighbours stand for more."""
RUNS = 25
"""The number of runs, few enough for a legible label on each."""

Part = tuple[str, str, tuple[Row, ...]]
"""The label, path and operators of a child."""


@dataclass(frozen=True, slots=True)
class Node:
    """A module, a run of neighbours in a module, or one operator.

    Attributes:
        parent: the index of its parent in the list of nodes; None for the network.
        module: qualified name of the module whose parts are its children, "" for the network.
        label: its name within its parent; a chain of modules with one child each has one label.
        path: its qualified name; of a run, the first and the last.
        rows: its operators.
        cost: their total cost.
    """

    parent: int | None
    module: str
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
    nodes = [Node(None, "", report.model, "", report.rows, report.totals)]
    for at, node in enumerate(nodes):
        if at == 0 or len(node.rows) > 1:
            nodes += _children(at, node)
    return nodes


def _children(at: int, node: Node) -> Iterator[Node]:
    """The children of `node`, which has index `at`: its parts, or runs of them."""
    parts = list(_parts(node))
    for run in runs(parts, RUNS if len(parts) > CHILDREN else CHILDREN):
        label, path, rows = run[0] if len(run) == 1 else _joined(run)
        module = path if len(run) == 1 else node.module
        yield Node(at, module, label, path, rows, total([row.cost for row in rows]))


def _parts(node: Node) -> Iterator[Part]:
    """The operators of a node's module itself, and its child modules."""
    start = len(node.module) + 1 if node.module else 0
    parts: dict[str | int, list[Row]] = {}
    for i, row in enumerate(node.rows):
        name = row.op.path[start:].split(".", 1)[0]
        parts.setdefault(name if row.op.path != node.module else i, []).append(row)
    for rows in parts.values():
        path = _common(row.op.path for row in rows)
        yield path[start:] or rows[0].op.kind, path, tuple(rows)


def _joined(run: Sequence[Part]) -> Part:
    """Several parts as one."""
    (label, path, _), (last_label, last_path, _) = run[0], run[-1]
    rows = tuple(row for _, _, rows in run for row in rows)
    return f"{label} to {last_label}", f"{path or '(model)'} to {last_path or '(model)'}", rows


def _common(paths: Iterable[str]) -> str:
    """The innermost module that contains all `paths`."""
    levels = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len({*names}) == 1, levels))
