"""The documents say what the program does."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import process
from guarded import write_project
from torch import nn

from mbanalyze import ablate, compare, count, guard, search
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.experiments import records
from mbanalyze.formulas import ARITHMETIC
from mbanalyze.guard import limits, policy
from mbanalyze.guard.judging import VERDICTS, Change
from mbanalyze.guard.policy import load
from mbanalyze.guidelines import guidelines
from mbanalyze.render import guard as guarding
from mbanalyze.render.report import DROPPED, FORMATS, document
from mbanalyze.verdicts import verdicts

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n\$ mbanalyze (.*)\n((?:.*\n)*?)```", README)


@pytest.mark.parametrize(("command", "printed"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_commands_print_what_the_readme_shows(command: str, printed: str) -> None:
    """Letter by letter; `...` stands for what differs between machines."""
    ran = subprocess.run(
        [sys.executable, "-m", "mbanalyze", *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "PATH": ""},
    )

    assert doctest.OutputChecker().check_output(printed, ran.stdout, doctest.ELLIPSIS), ran.stdout


def test_the_readme_has_examples() -> None:
    """The test above has something to run."""
    assert len(CONSOLE) == README.count("```console") == 7


def test_python_in_the_readme_runs() -> None:
    """Its examples are doctests."""
    test = doctest.DocTestParser().get_doctest(README, {}, "README", "README.md", 0)

    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
    assert len(test.examples) > 10


@pytest.mark.parametrize("kind", ARITHMETIC)
def test_every_formula_is_derived(kind: str) -> None:
    """The convention's table has a row for each kind."""
    assert f"`{kind}`" in (ROOT / "docs/convention.md").read_text()


def test_output_is_documented() -> None:
    """Every key of a report, a row, a group and a total; the order in which columns give way; the formats."""
    text = (ROOT / "docs/output.md").read_text()
    report = document(count("mobilenet_v1"))
    keys = {*report, *report["totals"], *report["rows"][0], *count("mobilenet_v1").columns("kind")}

    assert {key for key in keys if f"`{key}`" not in text} == set()
    assert ", ".join(DROPPED).replace("kind, ops", "kind or ops") in text
    assert {name for name in FORMATS if f"--format {name}" not in text} == set()


def test_records_are_documented() -> None:
    """Every key of a verdict, of a network's guidelines and of the experiments."""
    text = (ROOT / "docs/output.md").read_text()
    judged = guidelines(count("mobilenet_v1")).as_dict()
    keys = {*verdicts("vgg16")[0].as_dict(), *judged, *judged["convolutions"][0], *judged["blocks"][0]}
    keys |= set(records()[0])

    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_variants_are_documented() -> None:
    """Every key of a grid's rows, of a comparison and of a search."""
    text = (ROOT / "docs/output.md").read_text()
    compared = compare(count("mobilenet_v1"), count("mobilenet_v2")).as_dict()
    found = search("mobilenet_v1", max_macs=10**8).as_dict()
    keys = {
        *compared,
        *compared["models"][0],
        *compared["by_kind"][0],
        *compared["by_stage"][0],
        *compared["layers"][0],
    }
    keys |= {*found, *found["binding"][0], *found["best"], *ablate("mobilenet_v1", rho=[1])}
    keys |= set(ablate(nn.Identity, (1, 3, 8, 8)))

    assert {key for key in keys if f"`{key}`" not in text} == set()


@pytest.mark.parametrize("name", ARCHS)
def test_every_architecture_has_exact_counts(name: str) -> None:
    """Each is named in the tests of the networks."""
    assert f'"{name}"' in (ROOT / "tests/test_family.py").read_text()


@pytest.mark.parametrize("target", ["report", "reports", "notebooks", "test", "test-fast", "check"])
def test_targets_exist(target: str) -> None:
    """What the documents tell people to make can be made."""
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()
    assert f"make {target}" in README + (ROOT / "CONTRIBUTING.md").read_text()


def test_ci_runs_the_readmes_command() -> None:
    """What lands has passed what the README names."""
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"


def test_the_changelog_counts_are_right() -> None:
    """Its figures are the program's."""
    total = count("mobilenet_v2").totals
    text = (ROOT / "CHANGELOG.md").read_text()

    for value in (total.params, total.macs, total.flops, total.memory_access):
        assert f"{value:,}" in text


@pytest.mark.parametrize("name", ARCHS)
def test_the_readme_lists_every_network_with_its_options(name: str) -> None:
    """A row names it and each option of its own."""
    (row,) = [
        line for line in README.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]
    ]
    options = {option["name"] for option in describe(ARCHS[name])} - {"resolution", "num_classes"}

    assert options == set(re.findall("`(\\w+)`", row.split("|")[2]))


GUARD = (ROOT / "docs" / "guard.md").read_text()


@pytest.mark.parametrize("text", [GUARD, README], ids=["guide", "readme"])
def test_the_policies_of_the_documents_are_ones(text: str, tmp_path: Path) -> None:
    """Every example in TOML is read without complaint."""
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)

    assert examples
    for example in examples:
        (tmp_path / "pyproject.toml").write_text(example)
        assert load(tmp_path / "pyproject.toml").models.keys() == {"small"}


def test_the_guide_names_every_key_and_verdict() -> None:
    """Of the policy, of its budgets, and of what becomes of a model."""
    words = {*policy.ROOT, *policy.MODEL, *policy.LAYER, *limits.TOTALS, *limits.COUNTS, *limits.LEVELS}

    assert not [word for word in words if not re.search(rf"\b{word}\b", GUARD)]
    assert [*VERDICTS] == re.findall(r"^\| `([a-z ]+)` \| \d", GUARD, re.MULTILINE)


def test_the_guides_tests_run(tmp_path: Path) -> None:
    """The fixture does what the guide says: the first run writes and fails, the second passes."""
    (example,) = re.findall(r"```python\n(.*?)```", GUARD, re.DOTALL)
    write_project(tmp_path)
    (tmp_path / "test_net.py").write_text(f"from net import build\n\n{example}")
    env = {**os.environ, "CI": "", "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_net.py"]
    ran = [
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]

    assert [each.returncode for each in ran] == [1, 0]
    assert "1 failed, 1 passed" in ran[0].stdout


@pytest.mark.parametrize("command", ["update", "diff", "explain"])
def test_the_guards_commands_have_examples(command: str) -> None:
    """In their help, and in the guide."""
    said = process("guard", command, "--help", COLUMNS="100").stdout

    assert f"mbanalyze guard {command} " in said.replace("\n", " ") + " "
    assert f"guard {command}" in GUARD


def test_json_of_the_guard_is_documented() -> None:
    """Every key of its documents, and of the lock, is in a table."""
    output = (ROOT / "docs" / "output.md").read_text()
    policy_ = load(ROOT / "pyproject.toml")
    outcome = guard.check(policy_, ci=True)
    lock = json.loads(policy_.lock.read_text())
    said = guarding.document(outcome)
    change = Change("", "total", "macs", 1, 2, "worse")
    keys = {*said, *said["models"][0], *guarding.change_document(change), *lock, *lock["models"]["alexnet"]}

    assert not [key for key in keys if f"`{key}`" not in output]
