"""The rows of a report as a tree of modules, cut at a depth, with repeated blocks in one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mbanalyze.report.network import Report
from mbanalyze.report.rows import Group, Row, group, grouped
from mbanalyze.report.selection import sorted_by

INDENT = "  "
"""The indentation of each level."""


@dataclass(frozen=True, slots=True)
class Block:
    """A module of the tree, or several equal modules in a row.

    Attributes:
        path: the path of the module; of several, such as `features.8-10`.
        rows: its operators.
        times: the number of modules.
        own: True for the operators that the module above runs itself.
    """

    path: str
    rows: tuple[Row, ...]
    times: int = 1
    own: bool = False


def outline(report: Report, depth: int, sort: str | None = None, *, collapse: bool = True) -> list[Group]:
    """Return the modules down to `depth`, each before those inside it, with indented keys.

    Args:
        report: the report.
        depth: the number of levels; a module at the last level has the operators of all modules inside it.
        sort: a column of numbers by which modules of the same parent are sorted; by default as they run.
        collapse: put equal modules in a row, such as repeated blocks, into one row with their sum.

    Raises:
        ChoiceError: no column of numbers has the name `sort`.
    """
    return list(_walk(report, report.rows, 0, depth, sort, collapse=collapse))


def _walk(
    report: Report, rows: Sequence[Row], level: int, depth: int, sort: str | None, *, collapse: bool
) -> Iterator[Group]:
    """The modules of one parent, whose path has `level` names, each with those inside."""
    blocks = list(_blocks(rows, level))
    if collapse:
        blocks = _collapsed(blocks)
    found = {block.path: block for block in blocks}
    groups = [group(block.path, block.rows) for block in blocks]
    for each in sorted_by(sort, groups, report) if sort else groups:
        block = found[each.key]
        yield Group(INDENT * level + _label(block), each.rows, each.cost)
        if not block.own and level + 1 < depth and any(row.op.path != block.path for row in block.rows):
            yield from _walk(report, block.rows, level + 1, depth, sort, collapse=collapse)


def _names(path: str) -> list[str]:
    return path.split(".") if path else []


def _blocks(rows: Sequence[Row], level: int) -> Iterator[Block]:
    """The modules one level deeper than `level`, in order of first appearance."""
    names = [_names(row.op.path) for row in rows]
    keys = [".".join(name[: level + 1]) for name in names]
    own = {key for key, name in zip(keys, names, strict=True) if len(name) == level}
    for key, members in grouped(rows, keys).items():
        yield Block(key, tuple(members), own=key in own)


def _label(block: Block) -> str:
    if block.own:
        return f"{block.path} (own)" if block.path else "(model)"
    return block.path + (f" (x{block.times})" if block.times > 1 else "")


def _collapsed(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, with equal neighbours as one."""
    kept: list[list[Block]] = []
    for block in blocks:
        if kept and _follows(kept[-1][-1], block) and _work(kept[-1][-1]) == _work(block):
            kept[-1].append(block)
        else:
            kept.append([block])
    return [_joined(run) if len(run) > 1 else run[0] for run in kept]


def _follows(one: Block, other: Block) -> bool:
    """True if both have the same name but for a final number, which is one higher in `other`: `a.8` and `a.9`."""
    (before, i), (after, j) = _numbered(one.path), _numbered(other.path)
    return before == after and i is not None and j == i + 1 and not (one.own or other.own)


def _numbered(path: str) -> tuple[str, int | None]:
    """A path without its final number, and that number."""
    number = path[len(path.rstrip("0123456789")) :]
    return path.removesuffix(number), int(number) if number else None


def _work(block: Block) -> list[object]:
    """The operators of a block with their shapes, costs and paths inside the block."""
    return [
        (
            row.op.path.removeprefix(block.path),
            row.types,
            [(value.role, value.shape, value.strides) for value in (*row.op.operands, *row.op.output)],
            row.op.attributes,
            row.op.frozen,
            row.cost,
        )
        for row in block.rows
    ]


def _joined(run: Sequence[Block]) -> Block:
    """Equal blocks as one: `a.8` to `a.10` are `a.8-10`, and so are the paths of their operators."""
    first, last = run[0].path, run[-1].path
    path = f"{first}-{_numbered(last)[1]}"
    rows = [
        row._replace(op=row.op._replace(path=path + row.op.path.removeprefix(block.path)), parts=row.recorded)
        for block in run
        for row in block.rows
    ]
    return Block(path, tuple(rows), len(run))
