"""The command line: `models`, `published` and `guidelines`, for users and scripts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from commandline import Run
from witness import DATA

from mbanalyze.archs import ARCHS
from mbanalyze.literature.verdicts import published
from mbanalyze.literature.view import summary
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import TITLES, series

NETS = str(DATA / "nets.py")


def test_models_lists_names_options_and_papers(run: Run) -> None:
    """`models` lists every architecture with its options and paper."""
    known = json.loads(run("models", "--format", "json").out)
    table = run("models").out
    rows = list(csv.DictReader(io.StringIO(run("models", "--format", "csv").out)))

    assert [(row["model"], row["option"], row["default"]) for row in rows] == [
        (model["name"], option["name"], str(option["default"]))
        for model in known
        for option in model["options"]
    ]
    assert run("models", "--format", "markdown").out.count("| option |") == len(ARCHS)

    assert [model["name"] for model in known] == list(ARCHS)
    for model in known:
        assert model["name"] in table
        assert "arXiv:" in model["paper"]
        for option in model["options"]:
            assert list(option) == ["name", "type", "default", "choices", "help"]
            assert option["name"] in table


def test_verdicts_of_a_family(run: Run) -> None:
    """`published` prints the text of the library in every format; its last line is the summary."""
    found = published("vgg16")

    for format in ("json", "csv", "markdown", "table"):
        assert run("published", "vgg16", "--format", format) == (0, found.to(format), "")
    assert run("published", "vgg").out.endswith(f"{summary(found)}\n")


def test_verdicts_of_an_unknown_family(run: Run) -> None:
    """An unknown family prints one line with the known ones."""
    ran = run("published", "lenet")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("mbanalyze: error: no figure of 'lenet' is known: ")


def test_guidelines_of_a_model(run: Run, tmp_path: Path) -> None:
    """`guidelines` takes an architecture or a factory, and --top limits the rows."""
    analysis = guidelines("mobilenet_v2", alpha=1.4)
    ran = run("guidelines", "mobilenet_v2", "--alpha", "1.4", "--format", "json")
    traced = run("guidelines", f"{NETS}:small", "--input", "1,3,32,32", "--format", "json")

    assert json.loads(ran.out) == analysis.as_dict()
    assert json.loads(traced.out)["convolutions"]
    table = run("guidelines", "mobilenet_v2", "--top", "1").out
    assert "G4: element-wise operators cause 29.7 % of memory access" in table
    assert table.count("depthwise") == 1
    out = tmp_path / "guidelines.md"
    assert run("guidelines", "mobilenet_v2", "--format", "markdown", "--output", str(out)).out == ""
    assert out.read_text().startswith("## G1: ")


def test_guidelines_without_a_model(run: Run) -> None:
    """Without a model, `guidelines` prints the paper's experiments in every format."""
    for format in ("json", "csv", "markdown", "table"):
        assert run("guidelines", "--format", format) == (0, guidelines().to(format), "")
    assert [line.split()[1] for line in run("guidelines").out.splitlines() if line.startswith("1:12")] == [
        "-5.1"
    ]


@pytest.mark.slow
def test_measuring(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--measure times every setting; the first of each experiment has the relative speed 1."""
    monkeypatch.setattr("mbanalyze.clock.rounds.MIN_ROUNDS", 2)
    ran = run("guidelines", "--measure", "--seconds", "0", "--format", "json")
    measured = json.loads(ran.out)["measured"]
    speeds = {(s["guideline"], s["setting"]): s["relative_speed"] for s in measured["settings"]}

    assert (ran.code, ran.err, measured["rounds"]) == (0, "", 2)
    assert set(speeds) == {(g, trial.setting) for g in TITLES for trial in series(g, "GPU", 1)}
    assert all(s["seconds"] > 0 for s in measured["settings"])
    assert all(speeds[g, series(g, "GPU", 1)[0].setting] == 1.0 for g in TITLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg16", "--measure"), "leave out the model"),
        (("--measure", "--device", "nowhere", "--seconds", "0"), "cannot measure on 'nowhere'"),
        (("--measure", "--device", "meta", "--seconds", "0"), "cannot measure on 'meta'"),
        (("--measure", "--output", "/nowhere/at/all"), "cannot write /nowhere/at/all"),
        (("--alpha", "0"), "--alpha, --resolution, --set, --batch, --input and --fused need a model"),
        (("--top", "0", "vgg16"), "--top must be a whole number from 1, not '0'"),
    ],
)
def test_guidelines_that_cannot_be(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Contradictory arguments print one line on stderr and exit with 2."""
    ran = run("guidelines", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
