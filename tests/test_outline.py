"""The tree of modules in a report."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

from mbanalyze import count
from mbanalyze.archs import NAMES
from mbanalyze.ops.cost import total
from mbanalyze.report.network import Report
from mbanalyze.report.outline import outline


class Residual(nn.Module):
    """A layer with a shortcut, which the block adds itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        added: Tensor = x + self.layer(x)
        return added


def stacked(*widths: int) -> Report:
    """Return the report of residual blocks of these widths, in a body, with a layer between different widths."""
    parts: list[nn.Module] = []
    for before, after in zip((widths[0], *widths), widths, strict=False):
        parts += [nn.Linear(before, after)] if before != after else []
        parts.append(Residual(after))
    net = nn.Sequential()
    net.add_module("body", nn.Sequential(*parts))
    net.add_module("head", nn.Linear(widths[-1], 1, bias=False))
    return count(net, (1, widths[0]))


def tree(report: Report, depth: int, **options: Any) -> list[tuple[str, int | None]]:
    """Return the name and macs of each row of a tree."""
    return [(group.key, group.cost.macs) for group in outline(report, depth, **options)]


def test_a_tree_of_one_level() -> None:
    """A module at the last level has the sum of everything inside."""
    # two layers of 4 x 4, and one of 4 x 1
    assert tree(stacked(4, 4), 1) == [("body", 32), ("head", 4)]


def test_modules_inside_are_indented_below_theirs() -> None:
    """Each level is indented, and what a module runs itself has a row of its own among its modules."""
    assert tree(stacked(4, 2), 4, collapse=False) == [
        ("body", 28),
        ("  body.0", 16),
        ("    body.0.layer", 16),
        ("      body.0.layer.0", 16),
        ("      body.0.layer.1", 0),
        ("    body.0 (own)", 0),
        ("  body.1", 8),
        ("  body.2", 4),
        ("    body.2.layer", 4),
        ("      body.2.layer.0", 4),
        ("      body.2.layer.1", 0),
        ("    body.2 (own)", 0),
        ("head", 2),
    ]


def test_equal_blocks_in_a_row_are_one_row_with_their_sum() -> None:
    """The numbers of the first and last block name the row, and the rows inside it are sums too."""
    # three blocks of 4 x 4, then 4 x 2 and one block of 2 x 2
    assert tree(stacked(4, 4, 4, 2), 3) == [
        ("body", 60),
        ("  body.0-2 (x3)", 48),
        ("    body.0-2.layer", 48),
        ("    body.0-2 (own)", 0),
        ("  body.3", 8),
        ("  body.4", 4),
        ("    body.4.layer", 4),
        ("    body.4 (own)", 0),
        ("head", 2),
    ]
    assert [key for key, _ in tree(stacked(4, 4), 2, collapse=False)] == [
        "body",
        "  body.0",
        "  body.1",
        "head",
    ]


def test_joined_blocks_have_the_live_bytes_of_the_largest() -> None:
    """The live bytes of a row with several blocks are the most of its operators."""
    report = count("mobilenet_v2")
    joined = {group.key.strip(): group for group in outline(report, 2)}["features.8-10 (x3)"]
    rows = [
        row for row in report.rows if row.op.path.startswith(("features.8.", "features.9", "features.10"))
    ]

    assert report.live_bytes(rows) == report.live_bytes(joined.rows)


def test_only_numbered_blocks_are_joined() -> None:
    """Equal neighbours with other names, and equal blocks that share their parameters, keep rows of their own."""
    named = nn.Sequential()
    for name in ("left", "right"):
        named.add_module(name, nn.Linear(3, 3))
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight

    assert tree(count(named, (1, 3)), 1) == [("left", 9), ("right", 9)]
    assert tree(count(tied, (1, 3)), 1) == [("0", 9), ("1", 9)]


def test_siblings_are_sorted_below_their_parent() -> None:
    """A column sorts the modules of each parent, the largest first."""
    assert [key.strip() for key, _ in tree(stacked(2, 5), 2, sort="macs")] == [
        *("body", "body.2", "body.1", "body.0", "head"),
    ]


def test_the_operators_of_the_model_itself() -> None:
    """Operators that no module below the model runs stand in a row `(model)`."""

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x

    assert tree(count(Net(), (1, 3)), 2) == [("(model)", 0)]
    assert tree(count(nn.Linear(3, 3), (1, 3)), 2) == [("(model)", 9)]
    assert tree(count(nn.Identity(), (1, 3)), 2) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_of_every_network_sums_to_its_totals(name: str) -> None:
    """Rows of the first level sum to the totals, and the rows below each row sum to it."""
    report = count(name)
    groups = outline(report, 9)
    levels = [(len(group.key) - len(group.key.lstrip())) // 2 for group in groups]

    assert report.totals == total([g.cost for g, level in zip(groups, levels, strict=True) if level == 0])
    for i, (group, level) in enumerate(zip(groups, levels, strict=True)):
        end = next((j for j in range(i + 1, len(groups)) if levels[j] <= level), len(groups))
        inside = [groups[j].cost for j in range(i + 1, end) if levels[j] == level + 1]
        assert not inside or group.cost == total(inside)
    assert sum(len(g.rows) for g, level in zip(groups, levels, strict=True) if level == 0) == len(report.rows)


def test_a_table_of_a_tree() -> None:
    """A table has the tree with the exact total, and Markdown has the same rows."""
    report = count("mobilenet_v2")

    assert "\n  features.8-10 (x3)   27 ops " in report.to("table", depth=2)
    assert "| features.8-10 (x3) | 27 ops |" in report.to("markdown", depth=2)
    assert "| total | 151 ops |" in report.to("markdown", depth=1)
