"""The documentation matches the program."""

from __future__ import annotations

import doctest
import json
import os
import platform
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from commandline import Run, in_terminal, process
from guarded import edit, write_project
from pages import ROOT, blocks, keys, pages, section, table
from warm import warm_python
from witness import torchvision_operators

from mbanalyze import count, train
from mbanalyze.archs import ARCHS
from mbanalyze.capacity.fitting import FIT_SCHEMA
from mbanalyze.capacity.peak import MEMORY_SCHEMA
from mbanalyze.cli.arguments import UsageError
from mbanalyze.cli.parser import explain
from mbanalyze.cli.program import make_app
from mbanalyze.guard import limits, load, policy_file
from mbanalyze.guard.model_result import MODEL_VERDICTS
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.literature.accuracy.run_tables import RUN_SCHEMA
from mbanalyze.ops import registry
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import cost
from mbanalyze.profiles.time_profile import PROFILE_SCHEMA
from mbanalyze.report.view import DROP_ORDER
from mbanalyze.timing.measured_time import MEASURE_SCHEMA
from mbanalyze.timing.prediction import PREDICT_SCHEMA
from mbanalyze.training.evaluation import EVALUATION_SCHEMA

CONSOLE_PAGES = (
    *("README.md", "index.md", "memory_access.md", "peak_memory.md", "published.md", "training.md"),
    *("search_per_block.md", "time.md", "variants.md"),
)
DOCTEST_PAGES = (
    "README.md",
    "accuracy.md",
    "evaluation.md",
    "files.md",
    "memory_access.md",
    "peak_memory.md",
    "python.md",
    "time.md",
    "training.md",
)
LANGUAGES = {"console", "csv", "python", "sh", "toml", "yaml"}


def draw_code() -> dict[str, Any]:
    """Return the functions of the script that draws the packages."""
    return runpy.run_path(str(ROOT / "docs/draw_code.py"))


def test_every_block_of_code_is_tested() -> None:
    """The pages and languages below are all those that have blocks."""
    console = [block.text for block in blocks("console")]

    assert set(CONSOLE_PAGES) == {block.page for block in blocks("console")}
    assert set(DOCTEST_PAGES) == {page for page, text in pages().items() if "\n>>> " in text}
    assert {block.language for block in blocks()} == LANGUAGES
    assert all(text.startswith("$ mbanalyze ") for text in console)
    assert sum(text.count("```") for text in pages().values()) == 2 * len(blocks())


@pytest.mark.posix
@pytest.mark.parametrize("page", CONSOLE_PAGES)
def test_commands_print_the_documented_output(page: str) -> None:
    """The output on a terminal of 80 columns is equal to the last letter, except the version of Python; `...` stands for other versions."""
    for block in blocks("console"):
        if block.page == page:
            command, printed = block.text.removeprefix("$ mbanalyze ").split("\n", 1)
            shown = "".join(f"{line.rstrip()}\n" for line in in_terminal(80, *command.split()).splitlines())
            expected = re.sub(r"\bpython 3\.\d+\.\d+", f"python {platform.python_version()}", printed)
            assert doctest.OutputChecker().check_output(expected, shown, doctest.ELLIPSIS), shown


@pytest.mark.parametrize("page", DOCTEST_PAGES)
def test_python_examples_run(page: str) -> None:
    """Examples with results are doctests, and share the names of their page."""
    torchvision_operators()
    test = doctest.DocTestParser().get_doctest(pages()[page], {}, page, page, 0)

    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_python_without_results_is_tested_below() -> None:
    """Three pages have Python blocks that are no doctests: a formula, modules for counters, and a test file."""
    others = {block.page for block in blocks("python") if ">>> " not in block.text}

    assert others == {"convention.md", "counters.md", "guard.md"}


def test_the_example_formula_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formula of the convention's page counts six flops for each of six elements."""
    monkeypatch.setattr(registry, "REGISTRY", {**registry.REGISTRY})
    (example,) = (block.text for block in blocks("python") if block.page == "convention.md")
    exec(example, {})  # noqa: S102 (an example of this repository)
    op = Op("", "mylib::swish_add", (), (Value("activation", 0, (2, 3)),))

    assert cost(op).flops == 6 * 6


def does_nothing(command: Any) -> Any:
    """Replace the callbacks of a command and its subcommands, so that they only parse their arguments."""
    command.callback = lambda **_: None
    for below in getattr(command, "commands", {}).values():
        does_nothing(below)
    return command


def accepts(line: str) -> bool:
    """Return True if the command line parses `mbanalyze ...`; the model may be missing."""
    words = shlex.split(line, comments=True)[1:]
    try:
        does_nothing(typer.main.get_command(make_app())).main(words, "mbanalyze", standalone_mode=False)
    except UsageError:
        return False
    except typer.TyperException as error:
        return explain(error).endswith("--help'") and " needs MODEL" in explain(error)
    return True


def typed() -> set[str]:
    """Return every `mbanalyze ...` command of the documentation and of `--help`."""
    helps = runpy.run_path(str(ROOT / "docs/generate.py"))["commands"]()
    lines = [line for block in blocks("sh") for line in block.text.splitlines()]
    return {
        *(line for line in lines if line.startswith("mbanalyze ")),
        *re.findall(r"`(mbanalyze [a-z][^`\n]*)`", "\n".join(pages().values())),
        *re.findall(r"^  (mbanalyze .*)$", helps, re.MULTILINE),
    }


def test_documented_commands_exist() -> None:
    """The command line parses every command in a block, in the text and in the examples of `--help`."""
    assert len(typed()) > 40
    assert [line for line in sorted(typed()) if not accepts(line)] == []


def test_a_wrong_command_is_found() -> None:
    """A wrong command, option or choice does not parse."""
    assert not accepts("mbanalyze reprot mobilenet_v2")
    assert not accepts("mbanalyze report mobilenet_v2 --alhpa 0.5")
    assert not accepts("mbanalyze guard update --format yaml")


def targets() -> set[str]:
    """Return the targets of the Makefile that have a help text."""
    return set(re.findall(r"^([a-z-]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_other_documented_commands_exist() -> None:
    """Targets of make and extras of pip exist; the other programs are git and Jupyter."""
    whole = "\n".join(pages().values())
    lines = [line for block in blocks("sh") for line in block.text.splitlines()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", whole, re.MULTILINE)) != set()
    assert {
        a or b for a, b in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", whole, re.MULTILINE)
    } <= targets()
    assert set(re.findall(r"mbanalyze\[(\w+)\]", whole)) <= set(project["optional-dependencies"])
    assert {line.split()[0] for line in lines} <= {"mbanalyze", "make", "git", "jupyter", "pip"}


@pytest.mark.parametrize("target", ["report", "reports", "notebooks", "docs", "test", "test-fast", "check"])
def test_targets_are_documented(target: str) -> None:
    """The README or CONTRIBUTING names the target as a whole word."""
    text = pages()["README.md"] + pages()["CONTRIBUTING.md"]

    assert target in targets()
    assert re.search(rf"\bmake {target}(?![\w-])", text)


def dead_links(page: str) -> list[str]:
    """Return the links of a page in the root folder that lead to no file or no heading."""
    found = []
    for file, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", pages()[page]):
        target = ROOT / (file or page)
        headings = (
            re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if target.suffix == ".md" else []
        )
        anchors = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
        if not target.exists() or (heading and heading not in anchors):
            found.append(f"{file}#{heading}")
    return found


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_and_headings(page: str) -> None:
    """Each link has a target; mkdocs checks the links between the pages of docs/."""
    assert "](docs/" in pages()[page]
    assert dead_links(page) == []


def test_yaml_examples_parse() -> None:
    """Every example in YAML is valid; `test_guard_ci.py` runs them."""
    assert len(blocks("yaml")) == 4
    assert all(yaml.safe_load(block.text) for block in blocks("yaml"))


def drawn(svg: str) -> tuple[list[str], list[tuple[float, float]]]:
    """Return the words of a plot, and the places of its points to a tenth of a point."""
    points = re.findall(r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)"', svg)
    return re.findall("<!-- (.*?) -->", svg), [(round(float(x), 1), round(float(y), 1)) for x, y in points]


def test_the_plot_of_the_guide_is_current(tmp_path: Path) -> None:
    """Its command draws the same words, and points in the same places."""
    (line,) = [line for block in blocks("sh") for line in block.text.splitlines() if " --plot docs/" in line]
    command, file = line.split(" --plot ")
    ran = process(*command.split()[1:], "--plot", str(tmp_path / "plot.svg"))
    words, points = drawn((ROOT / file).read_text())

    assert ran.returncode == 0
    assert f"]({file.removeprefix('docs/')})" in pages()["variants.md"]
    assert (words, points) == drawn((tmp_path / "plot.svg").read_text())
    assert {"alpha", "resolution"} <= set(words)
    assert len(points) > 16


def test_the_picture_of_a_report_is_current() -> None:
    """It shows the output of the command that stands below it in the README."""
    script = runpy.run_path(str(ROOT / "docs/draw_report.py"))
    picture = script["draw"]()

    assert script["FILE"].read_text(encoding="utf-8") == picture
    assert f"`{script['COMMAND']}`" in pages()["README.md"]
    assert "(docs/images/report.svg)" in pages()["README.md"]
    assert "153,941,888" in picture
    assert "url(" not in picture.replace("url(#", "")


def test_the_picture_of_the_packages_is_current() -> None:
    """It shows the imports that grimp finds, on the floors of the contract."""
    script = draw_code()
    floors = script["floors"]()

    assert script["FILE"].read_text() == script["draw"](floors, script["imports"](floors))


def test_another_import_changes_the_picture() -> None:
    """An import that is added or removed, and two floors that change places, give other pictures."""
    script = draw_code()
    floors = script["floors"]()
    found = script["imports"](floors)
    picture = script["draw"](floors, found)

    assert script["draw"](floors, found | {"cli": set()}) != picture
    assert script["draw"](floors, found | {"inputs": {"_version"}}) != picture
    assert script["draw"]([floors[1], floors[0], *floors[2:]], found) != picture


def test_only_implied_imports_are_left_out() -> None:
    """A chain of two imports implies a third, which is not drawn; imports that lead up are not drawn either."""
    reduced = draw_code()["reduced"]

    assert reduced([["a"], ["b"], ["c"]], {"a": {"b", "c"}, "b": {"c"}, "c": {"a"}}) == {
        "a": {"b"},
        "b": {"c"},
        "c": set(),
    }


def test_contributing_lists_every_package() -> None:
    """The table has each package of mbanalyze/, on its floor of the import contract, and no other."""
    levels = draw_code()["floors"]()
    floors = {name: len(levels) - number for number, level in enumerate(levels) for name in level}
    listed = {
        name.strip("`"): int(floor) for floor, name, _ in table(section("CONTRIBUTING.md", "## The packages"))
    }
    modules = {
        path
        for path in (ROOT / "mbanalyze").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }

    assert floors == listed
    assert {path.stem for path in modules} - {"__init__", "__main__"} == set(listed)


def test_contributing_names_files_that_exist() -> None:
    """Every path in CONTRIBUTING is one of the repository."""
    paths = re.findall(r"`([\w.]+/[\w./]*)`", pages()["CONTRIBUTING.md"])

    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_glossary_names_files_that_exist() -> None:
    """Every term has a source, and every source in this repository exists."""
    terms = re.split(r"^- (?=\*\*)", pages()["glossary.md"], flags=re.MULTILINE)[1:]
    paths = re.findall(r"`(mbanalyze/[a-z][\w./]*)`", pages()["glossary.md"])

    assert len(terms) > 25
    assert [term for term in terms if "Source: " not in term] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


def newest_benchmark() -> Path:
    """Return the newest file that `make benchmark` wrote."""
    return max((ROOT / "benchmarks").glob("*-*-*.md"))


def measurements(text: str) -> dict[str, dict[tuple[str, str], str]]:
    """Return the tables of times of a text by the first cell of their header: each cell by its row and column."""
    found = {}
    for lines in re.findall(r"^\| (?:milliseconds|process) \|.*\n(?:\|.*\n)+", text, re.MULTILINE):
        header, _, *rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()
        ]
        if header[0] in found:
            continue
        found[header[0]] = {
            (row[0], column): cell for row in rows for column, cell in zip(header, row, strict=True)
        }
    return found


def test_the_readmes_times_were_measured() -> None:
    """Every cell of its two tables is in the newest benchmark."""
    quoted, measured = measurements(pages()["README.md"]), measurements(newest_benchmark().read_text())

    assert f"benchmarks/{newest_benchmark().name}" in pages()["README.md"]
    assert quoted.keys() == {"milliseconds", "process"}
    for first, table_cells in quoted.items():
        assert len(table_cells) >= 9
        assert table_cells.items() - measured[first].items() == set()


def test_the_page_on_speed_shows_the_newest_benchmark() -> None:
    """It has every section of the newest file, and no other file's."""
    shown = re.findall(r"^<!-- section: benchmarks/(\S+), (.*) -->$", pages()["speed.md"], re.MULTILINE)
    headings = re.findall(r"^## (.*)$", newest_benchmark().read_text(), re.MULTILINE)

    assert {name for name, _ in shown} == {newest_benchmark().name}
    assert sorted(heading for _, heading in shown) == sorted(headings)
    assert f"`benchmarks/{newest_benchmark().name}`" in pages()["speed.md"]


def test_the_page_on_time_shows_the_newest_benchmark() -> None:
    """The accuracy of predicted times is that of the newest file in `benchmarks/time/`."""
    newest = max((ROOT / "benchmarks/time").glob("*.md")).name

    assert f"\n<!-- section: benchmarks/time/{newest}, Order -->\n" in pages()["time.md"]


def document(run: Run, *arguments: str, code: int = 0) -> Any:
    """Run a command and return its JSON."""
    ran = run(*arguments, "--format", "json")
    assert ran.code == code, ran.err
    return json.loads(ran.out)


def merged(records: Iterable[dict[str, Any]]) -> set[str]:
    """Return the keys of all records."""
    return {key for record in records for key in record}


def test_a_reports_keys_are_documented(run: Run) -> None:
    """The tables have exactly the keys of a report, its totals, rows and groups."""
    report = document(run, "report", "mobilenet_v1", "--check")
    groups = document(run, "report", "mobilenet_v1", "--by", "kind")["rows"]

    assert set(report) == keys("output.md", "## `mbanalyze report --format json`") - {"training"}
    assert set(report["totals"]) == keys("output.md", "### Totals")
    assert merged(report["rows"]) == keys("output.md", "### Rows")
    assert merged(groups) == keys("output.md", "### Groups")
    assert set(report["check"]) == keys("output.md", "### A check")
    assert merged(report["check"]["comparisons"]) == keys("output.md", "### Comparisons")


RENORM = """
from torch import nn

class Net(nn.Linear):
    def forward(self, x):
        return super().forward(x).renorm(2, 0, 1.0)  # has no rule

def net():
    return Net(4, 4)
"""


def test_the_keys_of_training_are_documented(run: Run, tmp_path: Path) -> None:
    """With `--train`, a report has exactly the further keys of the tables."""
    (tmp_path / "net.py").write_text(RENORM)
    command = ("report", f"{tmp_path / 'net.py'}:net", "--input", "1,4")
    plain, trained = document(run, *command), document(run, *command, "--train")

    assert set(trained) - set(plain) == {"training"}
    assert set(trained["totals"]) - set(plain["totals"]) == keys("output.md", "### Totals of training")
    assert merged(trained["rows"]) - merged(plain["rows"]) == keys("output.md", "### Rows of training")
    assert set(trained["training"]) == keys("output.md", "### Training")
    assert set(trained["training"]["peak"]) == keys("output.md", "### Training", 1)
    assert set(trained["training"]["step"]) <= keys("output.md", "### Totals of training")
    assert merged(trained["training"]["uncounted"]) == {"operator", "path", "times", "columns"}


def test_the_formats_of_a_report_are_documented() -> None:
    """The page names each format, and the order in which columns are hidden."""
    text = section("output.md", "## Formats of a report")

    assert f"hidden in this order: {', '.join(DROP_ORDER)}." in text
    assert re.findall("`--format ([a-z]+)`", text) == ["csv", "table", "markdown", "html"]


def test_the_keys_of_explained_totals_are_documented(run: Run) -> None:
    """The tables have exactly the keys of `explain`."""
    explained = document(
        run, "explain", "squeezenet1_1", "--resolution", "64", "--counter", "flop-counter-meta"
    )
    (counter,) = explained["counters"]

    assert set(explained) == keys("output.md", "## `mbanalyze explain --format json`")
    assert set(counter) == keys("output.md", "### Counters")
    assert merged(counter["differences"]) == {"what", "amount"}


def test_the_keys_of_networks_and_figures_are_documented(run: Run) -> None:
    """The tables have exactly the keys of `models` and `published`."""
    models = document(run, "models")

    assert merged(models) == keys("output.md", "## `mbanalyze models --format json`")
    assert merged(each["options"][0] for each in models) == {"name", "type", "default", "choices", "help"}
    assert merged(document(run, "published", "vgg")) == keys(
        "output.md", "## `mbanalyze published --format json`"
    )


def test_the_keys_of_guidelines_are_documented(run: Run) -> None:
    """The tables have exactly the keys of a network's guidelines and of the experiments."""
    found = document(run, "guidelines", "mobilenet_v1")
    experiments = document(run, "guidelines")

    assert set(found) == keys("output.md", "## `mbanalyze guidelines MODEL --format json`")
    assert merged(found["convolutions"]) == keys("output.md", "### Convolutions")
    assert merged(found["blocks"]) == keys("output.md", "### Blocks")
    assert set(experiments) == {"records", "measured"}
    assert merged(experiments["records"]) == keys("output.md", "## `mbanalyze guidelines --format json`")


def test_the_keys_of_a_peak_are_documented(run: Run) -> None:
    """The tables have exactly the keys of a peak, its accounts, its tensors and its steps."""
    found = document(run, "memory", "mobilenet_v1")

    assert found["schema"] == MEMORY_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze memory --format json`")
    assert merged(found["accounts"]) == keys("output.md", "### Accounts")
    assert merged(found["tensors"]) == keys("output.md", "### Tensors")
    assert merged(found["steps"]) == {"path", "kind", "live_bytes"}


def test_the_keys_of_an_evaluation_are_documented(run: Run, tmp_path: Path) -> None:
    """The tables have exactly the keys of an evaluation, and the columns of its classes."""
    folder = tmp_path / "run"
    train("mobilenet_v1", alpha=0.0625, shallow=True, resolution=8, epochs=1, batch=512, output=folder)
    found = document(run, "evaluate", str(folder))
    header = run("evaluate", str(folder), "--format", "csv").out.splitlines()[0]
    heading = "## `mbanalyze evaluate RUN --format json`"

    assert found["schema"] == EVALUATION_SCHEMA
    assert set(found) == keys("output.md", heading)
    assert set(header.split(",")) == keys("output.md", heading, 1)


def test_the_keys_of_a_prediction_are_documented(run: Run) -> None:
    """The tables have exactly the keys of a prediction, its profile, its totals, its rows and its groups."""
    arguments = ("predict", "mobilenet_v1", "--profile", str(ROOT / "tests/data/time_profile.json"))
    found = document(run, *arguments)
    times = keys("output.md", "### Times")

    assert found["schema"] == PREDICT_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze predict --format json`")
    assert set(found["profile"]) == keys("output.md", "### The profile")
    assert set(found["totals"]) == {"predicted_ms", "low_ms", "high_ms", "coverage"}
    assert merged(found["rows"]) == keys("output.md", "### Times of operators") | times
    assert merged(document(run, *arguments, "--by", "kind")["rows"]) == {"key", "ops", "coverage"} | times


def test_the_keys_of_a_relative_time_are_documented(run: Run) -> None:
    """The tables have exactly the keys of a relative time, its data sheet, its totals, its rows and its groups."""
    arguments = ("predict", "mobilenet_v1", "--device", "t4")
    found = document(run, *arguments)
    times = keys("output.md", "### Relative times")

    assert found["schema"] == PREDICT_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze predict --device t4 --format json`")
    assert set(found["device"]) == keys("output.md", "### The data sheet")
    assert set(found["totals"]) == {"relative_time", "reference"}
    assert merged(found["rows"]) == times
    groups = merged(document(run, *arguments, "--by", "kind")["rows"])
    assert groups == {"key", "ops"} | times - {"path", "kind", "variant", "merged"}


def test_the_keys_of_largest_batches_are_documented(run: Run) -> None:
    """The tables have exactly the keys of the largest batches, and of each."""
    found = document(run, "fit", "squeezenet1_1", "--resolution", "32", "--memory", "100MB")

    assert found["schema"] == FIT_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze fit --format json`")
    assert merged(found["batches"]) == keys("output.md", "### Batches")


def test_the_keys_of_a_profile_are_documented() -> None:
    """The tables have exactly the keys of the file, its anchors and its classes."""
    profile = json.loads((ROOT / "tests/data/time_profile.json").read_text())
    fits = [*profile["classes"].values(), *profile["general"].values()]

    assert profile["schema"] == PROFILE_SCHEMA
    assert set(profile) == keys("output.md", "## `mbanalyze calibrate --format json`")
    assert merged(profile["anchors"]) == keys("output.md", "### Anchors")
    assert merged(fits) == keys("output.md", "### Classes")


def test_the_keys_of_measured_times_are_documented(run: Run) -> None:
    """The tables have exactly the keys of the document and of each model."""
    found = document(run, "measure", "squeezenet1_1", "--resolution", "32", "--seconds", "0")

    assert found["schema"] == MEASURE_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze measure --format json`")
    assert merged(found["models"]) == keys("output.md", "### Measured models")


def test_the_keys_of_a_training_run_are_documented(run: Run) -> None:
    """The table has exactly the keys of a run, and names those of its epochs and settings."""
    tiny = ("train", "mobilenet_v1", "--alpha", "0.0625", "--resolution", "8", "--epochs", "1")
    found = document(run, *tiny, "--batch", "512")
    rows = dict(table(section("output.md", "## `mbanalyze train --format json`")))

    assert found["schema"] == RUN_SCHEMA
    assert set(found) == keys("output.md", "## `mbanalyze train --format json`")
    assert merged(found["epochs"]) == set(re.findall("`(.*?)`", rows["`epochs`"]))
    assert set(found["recipe"]) == set(re.findall("`(.*?)`", rows["`recipe`"]))


def test_the_keys_of_variants_are_documented(run: Run, tmp_path: Path) -> None:
    """The tables have exactly the keys of a grid, of a known network or a factory, and of a search."""
    factory = f"{write_project(tmp_path) / 'net.py'}:build"
    known = document(run, "ablate", "mobilenet_v1", "--rho", "1", "--batch", "2")
    traced = document(run, "ablate", factory, "--input", "1,3,64,64", "--workers", "1")
    columns = keys("output.md", "## `mbanalyze ablate --format json`")
    found = document(run, "search", "mobilenet_v1", "--max-macs", "100M")

    assert merged(known) | merged(traced) == columns
    assert set(found) == keys("output.md", "## `mbanalyze search --format json`")
    assert merged(found["variants"]) == columns - {"rho", "batch", "complete", "peak_bytes_eager"} | keys(
        "output.md", "### Variants"
    )
    assert merged(found["binding"]) == {"quantity", "limit", "needed", "variant"}


def test_the_keys_of_a_comparison_are_documented(run: Run) -> None:
    """The table has exactly the keys of a comparison, and the text of each names its keys."""
    found = document(run, "compare", "mobilenet_v1", "mobilenet_v2")
    rows = dict(table(section("output.md", "## `mbanalyze compare --format json`")))
    said = {first: set(re.findall("`(.*?)`", value)) for first, value in rows.items()}

    assert set(found) == keys("output.md", "## `mbanalyze compare --format json`")
    assert merged(found["models"]) == said["`models`"]
    assert merged(found["layers"]) == said["`layers`"] - {"null"}
    assert merged(found["by_kind"] + found["by_stage"]) == said["`by_kind`, `by_stage`"]


def test_the_keys_of_the_guard_are_documented(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables have exactly the keys of an outcome, an explanation and a lock."""
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    assert run("guard").code == 1
    edit(tmp_path / "net.py", ("alpha=1.0", "alpha=1.25"))
    outcome = document(run, "guard", code=1)
    explained = document(run, "guard", "explain", code=1)
    lock = json.loads((tmp_path / "mbanalyze.lock.json").read_text())
    layer = next(value for key, value in table(section("output.md", "### Causes")) if key == "`layers`")

    new = document(run, "guard", "init", "alexnet", "--format", "json")

    assert set(new) == keys("output.md", "## `mbanalyze guard init --format json`")
    assert set(outcome) == keys("output.md", "## `mbanalyze guard --format json`")
    assert merged(outcome["models"]) == keys("output.md", "### Guarded models")
    assert merged(outcome["models"][0]["changes"]) == keys("output.md", "### Changes")
    assert merged(explained["models"]) == keys("output.md", "## `mbanalyze guard explain --format json`")
    assert merged(explained["models"][0]["causes"]) == keys("output.md", "### Causes")
    assert merged(explained["models"][0]["causes"][0]["layers"]) == set(re.findall("`(.*?)`", layer))
    assert set(lock) == keys("output.md", "## `mbanalyze.lock.json`")
    assert set(lock["models"]["small"]) == keys("output.md", "### Locked models")


def test_every_architecture_has_exact_counts() -> None:
    """The table of exact counts has each known network."""
    from test_family import EXACT

    assert {name for name, *_ in EXACT} == set(ARCHS)


def test_the_readme_counts_the_networks() -> None:
    """It states the number of known networks."""
    assert f"It knows {len(ARCHS)} networks" in pages()["README.md"]


def test_ci_runs_the_readmes_command() -> None:
    """The last line of the CI script is the test command of the README."""
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"
    assert re.search("^make test ", pages()["README.md"], re.MULTILINE)


def test_the_counts_of_the_changelog_are_right() -> None:
    """It states the totals of MobileNetV2."""
    total = count("mobilenet_v2").totals
    (line,) = [
        line
        for line in (ROOT / "CHANGELOG.md").read_text().splitlines()
        if "The convention `mbanalyze/1`" in line
    ]

    assert [
        f"{total.params:,}",
        f"{total.macs:,}",
        f"{total.flops:,}",
        f"{total.memory_access:,}",
    ] == re.findall(r"\d[\d,]{4,}\d", line)


def test_the_policies_of_the_documentation_load(tmp_path: Path) -> None:
    """Every example in TOML is a valid policy of one model."""
    assert len(blocks("toml")) == 3
    for block in blocks("toml"):
        (tmp_path / "pyproject.toml").write_text(block.text)
        assert load(tmp_path / "pyproject.toml").models.keys() == {"small"}


def test_the_guide_has_every_key_and_verdict() -> None:
    """The tables have exactly the keys of the policy, the totals of a budget, and the verdicts."""
    text = section("guard.md", "### Limits")

    assert set(policy_file.ROOT_KEYS) == keys("guard.md", "### Keys of the project")
    assert set(policy_file.MODEL_KEYS) == keys("guard.md", "### Keys of a model")
    assert set(policy_file.LAYER_KEYS) == keys("guard.md", "### Keys of layers")
    assert set(limits.BUDGET_METRICS) == {
        name for names, _ in table(text) for name in re.findall("`(.*?)`", names)
    }
    assert set(limits.LOCKED_METRICS) == set(
        re.findall("`(.*?)`", text.split("limits the growth of")[1].split(".")[0])
    )
    assert set(limits.LEVELS) == set(
        re.findall("`(.*?)`", dict(table(section("guard.md", "### Keys of the project")))["`level`"])
    )
    assert [f"`{verdict}`" for verdict in MODEL_VERDICTS] == [
        row[0] for row in table(section("guard.md", "## Verdicts"))
    ]
    (formats,) = re.findall("^`--format` takes (.*)$", section("guard.md", "## Formats"), re.MULTILINE)
    assert [*OUTCOME_FORMATS] == re.findall("`(.*?)`", formats)


def test_the_tests_of_the_guide_run(tmp_path: Path) -> None:
    """The first run writes a snapshot and fails, and the second passes."""
    (example,) = (block.text for block in blocks("python") if block.page == "guard.md")
    write_project(tmp_path)
    (tmp_path / "test_net.py").write_text(f"from net import build\n\n{example}")
    env = {**os.environ, "CI": "", "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ("-q", "-p", "no:cacheprovider", "-p", "mbanalyze.pytest_plugin")
    command = [warm_python(), "-m", "pytest", *options, "test_net.py"]
    ran = [
        subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]

    assert [each.returncode for each in ran] == [1, 0]
    assert "1 failed, 1 passed" in ran[0].stdout


@pytest.mark.parametrize("command", ["init", "update", "diff", "explain"])
def test_the_guards_commands_have_examples(command: str) -> None:
    """Each command has an example in its help and in the guide."""
    printed = process("guard", command, "--help", COLUMNS="100").stdout

    assert re.search(rf"^  mbanalyze guard {command}\b", printed, re.MULTILINE)
    assert f"mbanalyze guard {command}" in pages()["guard.md"]
