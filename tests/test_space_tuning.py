"""The width and resolution of a space for a board, by TinyNAS's rule."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commandline import Run

from mbanalyze import count, tune_space
from mbanalyze.spaces.boards import find_board
from mbanalyze.spaces.known_spaces import SPACES
from mbanalyze.spaces.space import SpaceError
from mbanalyze.spaces.tuning_result import SpaceTuning, SubSpace

SIZES: dict[str, Any] = {"alpha": [0.3, 0.5], "resolution": [64, 160]}


@pytest.mark.parametrize("name", SPACES)
def test_each_mean_is_that_of_networks_counted_alone(name: str) -> None:
    """The number of networks that fit, and their mean macs, are those of networks that are counted one by one."""
    found = tune_space(name, board="200KB,1MB", samples=4, seed=7, **SIZES)
    space, generator = SPACES[name], random.Random(7)
    others = {option: choices for option, choices in space.options.items() if option not in SIZES}
    space = replace(space, options=others)
    drawn = [space.options_of(space.draw(generator)) for _ in range(4)]

    assert [(each.alpha, each.resolution) for each in found.sub_spaces] == [
        (0.3, 64),
        (0.3, 160),
        (0.5, 64),
        (0.5, 160),
    ]
    assert 0 < sum(each.fitting for each in found.sub_spaces) < 16
    for each in found.sub_spaces:
        own = {"alpha": each.alpha, "resolution": each.resolution, "dtype": "int8"}
        reports = [count(space.architecture, **{**options, **own}) for options in drawn]
        macs = [
            r.totals.macs or 0
            for r in reports
            if (r.peak_bytes("deployed") or 0) <= 200_000 and r.totals.params <= 10**6
        ]
        assert (each.samples, each.fitting) == (4, len(macs))
        assert each.mean_macs == (sum(macs) / len(macs) if macs else None)


def test_the_rule() -> None:
    """Most macs on average win; a width and resolution of which under a tenth fits is not chosen."""
    found = tune_space("mobilenet_v2", board="1KB,1KB", samples=1, **SIZES)
    assert found.best == {"1KB,1KB": None}

    subs = [
        SubSpace("b", 0.5, 64, 20, 20, 5.0),
        SubSpace("b", 0.5, 96, 20, 2, 7.0),
        SubSpace("b", 1.0, 96, 20, 1, 9.0),
    ]
    made = SpaceTuning(found.space, (found.boards[0]._replace(name="b"),), tuple(subs), 20, 0, "int8")
    assert made.ranked("b") == [subs[1], subs[0], subs[2]]
    assert made.best == {"b": subs[1]}
    assert [row["chosen"] for row in made.records()] == [False, True, False]


def test_three_boards(run: Run) -> None:
    """Without a board, the table has the three known ones; the next command searches what was chosen."""
    sizes = ["--alpha", "0.3,0.5", "--resolution", "96,128"]
    words = ["search", "--space", "mobilenet_v3", "--tune-space", "--samples", "3", *sizes]
    table, document = run(*words), run(*words, "-f", "json")
    boards = json.loads(document.out)["boards"]

    assert (table.code, table.err) == (0, "")
    assert [board["name"] for board in boards] == ["stm32f412", "stm32f746", "stm32h743"]
    for board in boards:
        best = board["best"]
        chosen = f"--board {board['name']} --alpha {best['alpha']} --resolution {best['resolution']}"
        assert f"mbanalyze search --space mobilenet_v3 {chosen}\n" in table.out
    assert "a proxy, and no accuracy" in table.out


def test_one_board(run: Run) -> None:
    """With a board, the table has its widths and resolutions; the exit code is 1 if too few networks fit."""
    words = ["search", "--space", "mobilenet_v2", "--tune-space", "--samples", "2", "--resolution", "64"]

    assert run(*words, "--board", "stm32f746").out.startswith("stm32f746: 327.7 kB SRAM, 1.049 MB flash")
    assert run(*words, "--board", "1KB,1KB").code == 1


def rows() -> list[list[str]]:
    """The rows of the documented tables, each after the space of the command above it."""
    page = (Path(__file__).parents[1] / "docs/search_per_block.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"--space (\w+) --tune-space\n", page)
    return [
        [space, *(cell.strip(" `") for cell in line.strip("|").split("|"))]
        for space, text in zip(parts[::2], parts[1::2], strict=True)
        for line in text.splitlines()
        if line.startswith("| `stm32")
    ]


@pytest.mark.parametrize("row", rows(), ids=lambda row: " ".join(row[:2]))
def test_the_documented_table(row: list[str]) -> None:
    """Each row of the page has the memory of the board, the share that fits, and the mean macs."""
    space, board, memory, alpha, resolution, share, mean = row
    found = tune_space(space, board=board, alpha=float(alpha), resolution=int(resolution))
    (each,) = found.sub_spaces

    assert find_board(memory)[1:3] == found.boards[0][1:3]
    assert (f"{each.share:.0%}", f"{each.mean_macs or 0:.4g}") == (
        share,
        f"{float(mean.removesuffix(' M')) * 1e6:.4g}",
    )


def test_samples_are_checked() -> None:
    """A number of samples is whole and above 0."""
    with pytest.raises(SpaceError, match="samples must be a whole number from 1"):
        tune_space("mobilenet_v2", samples=0)
