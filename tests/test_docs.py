"""The documents say what the program does."""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from commandline import process
from guarded import write_project
from torch import nn

from mbanalyze import ablate, compare, count, guard, search
from mbanalyze.archs import ARCHS
from mbanalyze.cli import app
from mbanalyze.guard import limits, load, policy_file
from mbanalyze.guard.changes import CountChange
from mbanalyze.guard.model_result import MODEL_VERDICTS
from mbanalyze.guard.outcome import change_record
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.literature.verdicts import verdicts
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import records
from mbanalyze.ops import registry
from mbanalyze.ops.formulas import ARITHMETIC
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.report.view import DROP_ORDER, REPORT_FORMATS

ROOT = Path(__file__).parent.parent
FILES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
PAGES = {path.name: path.read_text() for path in FILES}
README = PAGES["README.md"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BLOCKS = [
    (page, language, block)
    for page, text in PAGES.items()
    for language, block in re.findall(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
]


def blocks(language: str) -> list[str]:
    """Every block of code in a language, of every page."""
    return [block for _, known, block in BLOCKS if known == language]


CONSOLE = [block.removeprefix("$ mbanalyze ").split("\n", 1) for block in blocks("console")]


@pytest.mark.parametrize(("command", "printed"), CONSOLE, ids=[command for command, _ in CONSOLE])
def test_commands_print_what_the_documents_show(command: str, printed: str) -> None:
    """Letter by letter; `...` stands for what differs between machines."""
    ran = subprocess.run(
        [sys.executable, "-m", "mbanalyze", *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "80", "PATH": ""},
    )

    assert doctest.OutputChecker().check_output(printed, ran.stdout, doctest.ELLIPSIS), ran.stdout


def test_every_block_of_code_is_tested() -> None:
    """The tests here have something to run, and there is no block that none of them reads."""
    languages = {language for _, language, _ in BLOCKS}

    assert len(CONSOLE) >= 7
    assert all(block.startswith("$ mbanalyze ") for block in blocks("console"))
    assert languages == {"console", "python", "sh", "toml", "yaml"}
    assert sum(text.count("```") for text in PAGES.values()) == 2 * len(BLOCKS)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "\n>>> " in text])
def test_python_in_the_documents_runs(page: str) -> None:
    """Examples with their results are doctests, one after the other on a page."""
    test = doctest.DocTestParser().get_doctest(PAGES[page], {}, page, page, 0)

    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_other_python_is_run_below() -> None:
    """A block without results is a formula, or a test file."""
    assert {page for page, language, block in BLOCKS if language == "python" and ">>> " not in block} == {
        "convention.md",
        "guard.md",
    }


def test_the_conventions_formula_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of an operator of one's own registers what it says."""
    monkeypatch.setattr(registry, "ARITHMETIC", {**ARITHMETIC})
    (example,) = (
        block for page, language, block in BLOCKS if (page, language) == ("convention.md", "python")
    )
    exec(example, {})  # noqa: S102 (it is the documents' own)
    op = Op("", "mylib::swish_add", (), (Value("activation", 0, (2, 3)),))

    assert cost(op).flops == 6 * 6


def does_nothing(command: Any) -> Any:
    """A command, and those below it, that read their arguments and do no more."""
    command.callback = lambda **_: None
    for below in getattr(command, "commands", {}).values():
        does_nothing(below)
    return command


def taken(line: str) -> bool:
    """Whether the command line takes `mbanalyze ...` as it is written; the model may be left out."""
    words = shlex.split(line, comments=True)[1:]
    try:
        does_nothing(typer.main.get_command(app)).main(words, "mbanalyze", standalone_mode=False)
    except typer.TyperException as error:
        return error.format_message().startswith("Missing argument")
    return True


HELP = runpy.run_path(str(ROOT / "docs/generate.py"))["commands"]()
TYPED = {
    *(line for block in blocks("sh") for line in block.splitlines() if line.startswith("mbanalyze ")),
    *re.findall(r"`(mbanalyze [a-z][^`\n]*)`", "\n".join(PAGES.values())),
    *re.findall(r"^  (mbanalyze .*)$", HELP, re.MULTILINE),
}


@pytest.mark.parametrize("line", sorted(TYPED))
def test_commands_in_the_documents_exist(line: str) -> None:
    """In blocks, in the text, and in the examples of `--help`: with every option that they name."""
    assert taken(line)


def test_a_command_can_be_wrong() -> None:
    """The test above can fail."""
    assert not taken("mbanalyze reprot mobilenet_v2")
    assert not taken("mbanalyze report mobilenet_v2 --alhpa 0.5")
    assert not taken("mbanalyze guard update --format yaml")


def test_other_commands_in_the_documents_exist() -> None:
    """What is made can be made, and extras that are installed are ours; the rest is of other programs."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line not in TYPED]
    made = {line.split()[1] for line in lines if line.startswith("make ")}
    extras = set(re.findall(r"mbanalyze\[(\w+)\]", "\n".join(PAGES.values())))

    assert made <= set(re.findall(r"^([a-z-]+): ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert extras <= set(PROJECT["optional-dependencies"])
    assert {line.split()[0] for line in lines} <= {"make", "git", "jupyter", "pip"}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    """To files of this repository, and to headings there; mkdocs checks those from page to page."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)#?([^)]*)\)", PAGES[page])

    assert links
    assert [file for file, _ in links if not (ROOT / file).exists()] == []
    assert [
        heading
        for file, heading in links
        if heading and heading.replace("-", " ") not in (ROOT / file).read_text().lower()
    ] == []


def test_yaml_in_the_documents_is_some() -> None:
    """Every example can be read; `test_guard_ci.py` runs them."""
    assert all(yaml.safe_load(block) for block in blocks("yaml"))


def drawn(svg: str) -> tuple[list[str], list[tuple[float, float]]]:
    """The words of a plot, and where its points are, to a tenth of a point."""
    points = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)"', svg)
    return re.findall("<!-- (.*?) -->", svg), [(round(float(x), 1), round(float(y), 1)) for x, y in points]


def test_the_readmes_plot_is_what_its_command_draws(tmp_path: Path) -> None:
    """The same words, and points in the same places."""
    (line,) = [line for line in README.splitlines() if line.startswith("mbanalyze ") and " --plot " in line]
    command, file = line.split(" --plot ")
    (tmp_path / Path(file).name).touch()
    ran = process(*command.split()[1:], "--plot", str(tmp_path / Path(file).name))
    words, points = drawn((ROOT / file).read_text())

    assert ran.returncode == 0
    assert f"]({file})" in README
    assert (words, points) == drawn((tmp_path / Path(file).name).read_text())
    assert {"alpha", "resolution"} <= set(words)
    assert len(points) > 16


def test_the_readmes_times_were_measured() -> None:
    """Its comparison names the newest benchmark, whose rows begin with its own."""
    newest = max((ROOT / "benchmarks").glob("*-*-*.md"))
    measured = newest.read_text().splitlines()
    table = [line.removesuffix(" |") for line in README.splitlines() if re.match(r"\| (milli|.* px)", line)]

    assert f"benchmarks/{newest.name}" in README
    assert len(table) > 3
    assert [line for line in table if not any(row.startswith(f"{line} |") for row in measured)] == []


def test_output_is_documented() -> None:
    """Every key of a report, a row, a group and a total; the order in which columns give way; the formats."""
    text = (ROOT / "docs/output.md").read_text()
    report = count("mobilenet_v1").as_dict()
    keys = {*report, *report["totals"], *report["rows"][0], *count("mobilenet_v1").columns("kind")}

    assert {key for key in keys if f"`{key}`" not in text} == set()
    assert ", ".join(DROP_ORDER).replace("kind, ops", "kind or ops") in text
    assert {name for name in REPORT_FORMATS if f"--format {name}" not in text} == set()


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


@pytest.mark.parametrize("target", ["report", "reports", "notebooks", "docs", "test", "test-fast", "check"])
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


GUARD = PAGES["guard.md"]


@pytest.mark.parametrize("example", blocks("toml"))
def test_the_policies_of_the_documents_are_ones(example: str, tmp_path: Path) -> None:
    """Every example in TOML is read without complaint."""
    (tmp_path / "pyproject.toml").write_text(example)

    assert load(tmp_path / "pyproject.toml").models.keys() == {"small"}


def test_the_guide_names_every_key_and_verdict() -> None:
    """Of the policy, of its budgets, and of what becomes of a model."""
    words = {*policy_file.ROOT_KEYS, *policy_file.MODEL_KEYS, *policy_file.LAYER_KEYS}
    words |= {*limits.BUDGET_METRICS, *limits.LOCKED_METRICS, *limits.LEVELS, *OUTCOME_FORMATS}

    assert not [word for word in words if not re.search(rf"\b{word}\b", GUARD)]
    assert [*MODEL_VERDICTS] == re.findall(r"^\| `([a-z ]+)` \| \d", GUARD, re.MULTILINE)


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
    said = outcome.as_dict()
    change = change_record(CountChange("macs", 1, 2, "worse"))
    keys = {*said, *said["models"][0], *change, *lock, *lock["models"]["alexnet"]}

    assert not [key for key in keys if f"`{key}`" not in output]
