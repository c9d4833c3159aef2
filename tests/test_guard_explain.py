"""Explanations and suggestions of the guard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commandline import Ran, Run
from guarded import BUDGETS, POLICY, edit, repository

from mbanalyze import count


def explained(run: Run, *arguments: str) -> tuple[Ran, dict[str, Any]]:
    """The result of `explain`, and the explanation of the only model that it contains."""
    ran = run("guard", "explain", *arguments, "--format", "json")
    (found,) = json.loads(ran.out)["models"]
    return ran, found


def test_explaining_a_growth(project: Path, run: Run) -> None:
    """An explanation lists the layers with their shares, and the lines that make them."""
    edit(
        project / "net.py",
        (
            "nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)",
            "nn.Conv2d(wide, wide, 3, stride, 1, groups=wide)",
        ),
        ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"),
    )
    ran, said = explained(run)
    (params,) = (cause for cause in said["causes"] if cause["metric"] == "params")
    lines = (project / "net.py").read_text().splitlines()
    filter, head = (
        next(i for i, line in enumerate(lines, 1) if text in line)
        for text in ("self.filter =", "self.head =")
    )

    assert ran.code == 1
    # a bias for each of 64, 80 and 64 channels; 32 weights and a bias
    assert {(layer["path"], layer["amount"]) for layer in params["layers"]} == {
        ("blocks.0.filter", 64), ("blocks.1.filter", 80), ("blocks.2.filter", 64), ("head", 33),
    }  # fmt: skip
    assert sum(layer["share"] for layer in params["layers"]) == pytest.approx(1)
    places = {(layer["file"], layer["line"], layer["what"]) for layer in params["layers"]}
    assert places == {("net.py", filter, "Block"), ("net.py", head, "Net")}
    out = run("guard", "explain").out
    assert f"net.py:{filter} Block" in out
    # 80 of the 64 + 80 + 64 + 33 parameters
    assert "+80 (33.2 %)" in out


def test_one_table_has_a_column_for_each_total(project: Path, run: Run) -> None:
    """The layers of an explanation are one table, with a column for each total that fails, in the usual order."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ memory_access = "1 k" }'))
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    out = run("guard", "explain", "--format", "markdown").out
    rows = [line for line in out.splitlines() if line.startswith(("| layer", "| head"))]

    # a column of 32 weights and a bias: 32 macs, 65 flops with the bias, 1 output, 33 + 1 elements
    assert rows == [
        "| layer | kind | params | macs | flops | activations | memory access | from |",
        "| head | linear | +33 (100.0 %) | +32 (100.0 %) | +65 (100.0 %) | +1 (100.0 %) | +34 (100.0 %) | net.py:30 Net |",
    ]


@pytest.mark.usefixtures("project")
def test_a_model_that_passes_has_its_totals(run: Run) -> None:
    """An explanation of a model that passes has its totals, and no table of layers."""
    out = run("guard", "explain", "small").out

    assert "small  ok" in out
    assert "flops" in out
    assert "by layer" not in out


def test_the_largest_shares_come_first(project: Path, run: Run) -> None:
    """Of several layers, `--top` keeps those with the largest share of any total, and counts the others."""
    edit(project / "net.py", (", groups=wide, bias=False", ", groups=wide"), ("2 * c, 10)", "2 * c, 11)"))
    out = run("guard", "explain", "--top", "2").out

    assert "3 more layers" not in out
    assert "2 more layers" in out
    assert out.count(" Block\n") + out.count(" Net\n") == 2


def test_an_unchanged_total_over_its_budget_is_one_number(project: Path, run: Run) -> None:
    """The table of totals shows the former total only if it was compared, and the layers have their whole cost."""
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ macs = "1 k" }'))
    out = run("guard", "explain", "small").out

    assert "before" not in out
    assert "small: cost by layer" in out


def test_the_suggested_width_is_the_largest(project: Path, run: Run) -> None:
    """The suggested width fits the budget, and one step more does not."""
    macs = count((project / "net.py:build").as_posix(), (1, 3, 64, 64)).totals.macs or 0
    limit = macs * 3 // 4
    (project / "pyproject.toml").write_text(BUDGETS.format(budget=f"{{ macs = {limit} }}"))
    ran, said = explained(run)
    (remedy,) = said["remedies"]
    at = [
        count((project / "net.py:build").as_posix(), (1, 3, 64, 64), alpha=remedy["value"] + step).totals.macs
        or 0
        for step in (0, 0.01)
    ]

    assert (ran.code, remedy["option"], remedy["now"]) == (1, "alpha", 1)
    assert at[0] == remedy["totals"]["macs"] <= limit < at[1]
    assert said["tried"] == ["alpha", "resolution"]  # its images are resized, so that these change nothing
    out = run("guard", "explain", "small").out
    assert f"alpha={remedy['value']:g} fits instead of 1: " in out
    assert "no smaller resolution alone fits" in out


def test_a_number_of_channels_is_suggested(project: Path, run: Run) -> None:
    """A factory with the argument `width` gets a suggestion in whole channels."""
    edit(
        project / "net.py",
        ("def build(alpha=1.0):\n    return Net(alpha)", "def build(width=16):\n    return Net(width / 16)"),
    )
    (project / "pyproject.toml").write_text(BUDGETS.format(budget='{ params = "6 k" }'))
    (remedy,) = explained(run)[1]["remedies"]
    at = [
        count(
            (project / "net.py:build").as_posix(), (1, 3, 64, 64), width=remedy["value"] + more
        ).totals.params
        for more in (0, 1)
    ]

    assert (remedy["option"], remedy["now"]) == ("width", 16)
    assert at[0] == remedy["totals"]["params"] <= 6000 < at[1]


def test_explaining_a_network_in_closed_form(project: Path, run: Run) -> None:
    """A network in closed form gets a width and a resolution; its source is the line of the policy."""
    policy = '[tool.mbanalyze.models.small]\nsource = "mobilenet_v2"\nbudget = { macs = "150 M" }\n'
    (project / "pyproject.toml").write_text("\n" + policy)
    assert run("guard", "update").code == 0
    said = explained(run)[1]
    found = {remedy["option"]: remedy["value"] for remedy in said["remedies"]}

    def fits(**options: Any) -> bool:
        return (count("mobilenet_v2", **options).totals.macs or 0) <= 150_000_000

    assert fits(alpha=found["alpha"])
    assert not fits(alpha=found["alpha"] + 0.01)
    assert fits(resolution=found["resolution"])
    assert not fits(resolution=found["resolution"] + 32)
    assert {(layer["file"], layer["line"]) for layer in said["causes"][0]["layers"]} == {
        ("pyproject.toml", 2)
    }
    assert not said["causes"][0]["grew"]
    edit(project / "pyproject.toml", ("150 M", "1 G"))
    assert run("guard", "explain").out == "nothing fails\n"


def test_explaining_a_source_with_options(project: Path, run: Run) -> None:
    """Options in the source count as the current value, and the factory is found without them."""
    source = POLICY.replace("net.py:build", "net.py:build@alpha=2.0")
    repository(project)
    (project / "pyproject.toml").write_text(source + 'budget = { params = "20 k" }\n')
    _, said = explained(run, "--base", "HEAD")
    (suggestion,) = (each for each in said["remedies"] if each["option"] == "alpha")

    assert suggestion["now"] == 2
    assert suggestion["totals"]["params"] <= 20_000
    assert suggestion["value"] < 2
    assert {layer["file"] for cause in said["causes"] for layer in cause["layers"]} == {"net.py"}
