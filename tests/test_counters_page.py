"""The page about other counters has the totals of our rules, and its examples count as it says."""

from __future__ import annotations

import functools
import re
import runpy
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import pytest
import torch
from conventions import counted, recorded
from pages import ROOT, pages, section, table
from torch import nn
from witness import torchvision_operators

from mbanalyze.conventions.convention import Difference
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.report.network import Report
from mbanalyze.sources.resolve import resolve

mpl.use("Agg")


@functools.cache
def script(name: str) -> dict[str, Any]:
    """The names of a script in docs/."""
    return runpy.run_path(str(ROOT / "docs" / name))


@functools.cache
def stored(file: str, network: str) -> list[dict[str, str]]:
    """The rows of a network in a file of the page."""
    return [row for row in script("counter_tables.py")["rows"](file) if row["network"] == network]


@functools.cache
def traced(network: str) -> Report:
    """The trace of a network with its calls."""
    torchvision_operators()
    return resolve(f"torchvision:{network}").report(calls=True)


NETWORKS = script("run_counters.py")["NETWORKS"]
COUNTERS = script("run_counters.py")["COUNTERS"]


@pytest.mark.parametrize("network", NETWORKS)
def test_stored_totals_are_those_of_our_rules(network: str) -> None:
    """Each total is our macs, the stored differences and the unexplained rest, and our rules give the same."""
    report = traced(network)
    rows = stored("counters.csv", network)

    assert [row["counter"] for row in rows] == [*COUNTERS]
    for row in rows:
        convention = CONVENTIONS[row["counter"]]
        parts = sorted(
            (each["what"], int(each["amount"]))
            for each in stored("counter_differences.csv", network)
            if each["counter"] == row["counter"]
        )
        assert int(row["macs"]) == sum(filter(None, report.record.macs))
        assert sorted(convention.differences(report.record)) == parts
        assert convention.total(report.record) == int(row["total"]) - int(row["unexplained"])
        assert (convention.version, convention.unit) == (row["version"].partition("+")[0], row["unit"])


def explanation(network: str) -> ExplainedTotals:
    """The stored results of a network."""
    parts: dict[str, list[Difference]] = {name: [] for name in COUNTERS}
    for each in stored("counter_differences.csv", network):
        parts[each["counter"]].append(Difference(each["what"], int(each["amount"])))
    results = (
        CounterResult(
            name, row["version"], int(row["total"]), row["unit"], tuple(parts[name]), int(row["unexplained"])
        )
        for row in stored("counters.csv", network)
        for name in [row["counter"]]
    )
    return ExplainedTotals(traced(network), tuple(results))


@pytest.mark.parametrize("network", script("run_counters.py")["PICTURES"])
def test_the_waterfalls_are_current(network: str, tmp_path: Path) -> None:
    """A waterfall of the stored results has the words of the picture on the page."""
    runs = script("run_counters.py")
    runs["draw"](network, explanation(network), tmp_path / "new.svg")
    old, new = (
        re.findall("<!-- (.*?) -->", file.read_text())
        for file in (runs["picture"](network), tmp_path / "new.svg")
    )

    assert old == new
    assert f"(images/{runs['picture'](network).name})" in pages()["counters.md"]


class Example(NamedTuple):
    """An example of the page: its code, and the rows of the table below it."""

    code: str
    rows: list[list[str]]


def examples() -> Iterator[Example]:
    """Each block of Python on the page with the table after it."""
    _, _, after = pages()["counters.md"].partition("## The smallest examples")
    for code, rest in re.findall(
        r"^```python\n(.*?)^```\n(.*?)(?=^```python|\Z)", after, re.MULTILINE | re.DOTALL
    ):
        yield Example(code, table(rest))


@pytest.mark.parametrize("example", [*examples()], ids=lambda example: example.code.splitlines()[0])
def test_examples_count_as_the_page_says(example: Example) -> None:
    """Each number is the total of the counter, if it is installed, and of its convention, or our macs."""
    torchvision_operators()
    names: dict[str, Any] = {"torch": torch, "nn": nn}
    exec(example.code, names)  # noqa: S102 (an example of this repository)
    record = recorded(names["net"], names["x"])
    (_, ours, _), *others = example.rows

    assert int(ours.replace(",", "")) == sum(filter(None, record.macs))
    for cell, total, _ in others:
        name = cell.strip("`")
        assert int(total.replace(",", "")) == CONVENTIONS[name].total(record)
        if find_spec(CONVENTIONS[name].package):
            assert int(total.replace(",", "")) == counted(name, names["net"], names["x"])


def test_the_page_has_every_counter_and_network() -> None:
    """Its first table has each counter with its version and unit, and the others each network."""
    counters = table(section("counters.md", "## Why do counters differ?"))
    filled = script("counter_tables.py")["PARTS"]

    assert [row[0].strip("`") for row in counters] == [*COUNTERS]
    for cell, _, _, unit, version in counters:
        convention = CONVENTIONS[cell.strip("`")]
        assert (convention.version, convention.unit) == (version, unit)
    for name, others in (("counter_ratios", 1), ("counter_totals", 3)):
        assert [row[0] for row in table(filled[name]())] == [*NETWORKS]
        assert {len(row) for row in table(filled[name]())} == {others + len(COUNTERS)}


def test_the_parts_of_a_gap_sum_to_the_total() -> None:
    """In each table of parts, our macs and the signed amounts of a counter sum to its total."""
    for network in script("run_counters.py")["PICTURES"]:
        block = script("counter_tables.py")["PARTS"][f"counters_{network}"]()
        sums: list[int] = []
        for name, part, cell in table(block.replace("    |", "|")):
            amount = int(cell.strip("*").replace(",", ""))
            if name:
                sums.append(0)
            if part.startswith("**total"):
                assert sums[-1] == amount
            sums[-1] += amount
        assert len(sums) == len(COUNTERS)


def test_ratios_that_round_to_agreement_are_marked() -> None:
    """A total that is equal to ours has 1.000, one that is nearly equal has a sign, and flops have 2.000."""
    ratio = script("counter_tables.py")["ratio"]
    cells = [
        ratio({"total": total, "macs": "100000"}) for total in ("100000", "100001", "200000", "104500", "")
    ]

    assert cells == ["1.000", "≈\N{NO-BREAK SPACE}1.000", "2.000", "1.045", "failed"]
