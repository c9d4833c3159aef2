"""The formats of results on the command line: `--format`, and the suffix of `--output`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from commandline import Run

from mbanalyze.archs.catalog import Catalog
from mbanalyze.cli.formats import SUFFIXES, choose_format
from mbanalyze.cli.program import make_app
from mbanalyze.guard.view import OUTCOME_FORMATS
from mbanalyze.report.view import REPORT_FORMATS


def commands(above: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command that prints a result, with its words."""
    command = above or typer.main.get_command(make_app())
    if command.params and name:
        yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {word}".strip())


def test_every_command_has_both_options() -> None:
    """Each command takes `-f`, `--format`, `-o` and `--output`."""
    found = dict(commands())
    spelled = {
        name: {flag for each in command.params for flag in each.opts} for name, command in found.items()
    }

    assert {"report", "models", "guard", "guard update", "guard explain"} < set(found)
    assert [
        name for name, flags in spelled.items() if not {"-f", "--format", "-o", "--output"} <= flags
    ] == []


@pytest.mark.parametrize(
    ("file", "format"),
    [
        ("x.json", "json"),
        ("x.csv", "csv"),
        ("x.md", "markdown"),
        ("x.MARKDOWN", "markdown"),
        ("x.txt", "table"),
        ("x.json.gz", "table"),
        ("x", "table"),
        ("json", "table"),
        ("a.json/x", "table"),
    ],
)
def test_the_suffix_implies_the_format(run: Run, tmp_path: Path, file: str, format: str) -> None:
    """Without `--format`, a file has the format of its suffix, or is a table."""
    target = tmp_path / file
    target.parent.mkdir(exist_ok=True)

    assert run("models", "-o", str(target)) == (0, "", "")
    assert target.read_text() == Catalog().to(format)


@pytest.mark.parametrize("file", ["x.html", "x.htm"])
def test_a_page_by_its_suffix(run: Run, tmp_path: Path, file: str) -> None:
    """A report in an HTML file is a page."""
    assert run("report", "squeezenet1_1", "-o", str(tmp_path / file)).code == 0
    assert (tmp_path / file).read_text().startswith("<!doctype html>")


def test_stdout_has_the_given_format(run: Run) -> None:
    """`-o -` is stdout, in the format of `-f`."""
    assert json.loads(run("models", "-o", "-", "-f", "json").out)
    assert run("models", "-o", "-").out == run("models").out


def test_a_format_for_any_other_suffix(run: Run, tmp_path: Path) -> None:
    """`--format` decides where the suffix says nothing."""
    for name in ("x.txt", "x", "x.dat"):
        run("models", "--format", "json", "-o", str(tmp_path / name))
        assert json.loads((tmp_path / name).read_text())


@pytest.mark.parametrize(("file", "implied"), [(f"x{suffix}", known) for suffix, known in SUFFIXES.items()])
@pytest.mark.parametrize("format", sorted(OUTCOME_FORMATS.keys() | REPORT_FORMATS.keys()))
def test_a_contradiction(file: str, implied: tuple[str, ...], format: str) -> None:
    """A format and a suffix that belongs to others are an error that names both."""
    known = OUTCOME_FORMATS.keys() | REPORT_FORMATS.keys()
    if format in implied:
        assert choose_format(format, Path(file), known) == format
        return
    with pytest.raises(ValueError, match=f"the format {format} contradicts the file {file}"):
        choose_format(format, Path(file), known)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("models", "-f", "json", "-o", "x.csv"),
            "the format json contradicts the file x.csv: .csv means csv",
        ),
        (("report", "alexnet", "-f", "table", "-o", "x.html"), "table contradicts the file x.html"),
        (
            ("models", "-o", "x.html"),
            "x.html would be html, which this command does not have: choose one of ",
        ),
        (("compare", "alexnet", "vgg11", "-o", "x.xml"), "x.xml would be junit, which this command does not"),
        (("models", "-o", "x.PNG"), "x.PNG would be a picture: --plot draws one"),
        (("guard", "-o", "json=x.csv"), "the format json contradicts the file x.csv"),
        (("guard", "update", "-o", "x.html"), "x.html would be html"),
        (("guard", "explain", "-f", "csv", "-o", "x.md"), "csv contradicts the file x.md"),
    ],
)
def test_refused_files(run: Run, project: Path, arguments: tuple[str, ...], problem: str) -> None:
    """A contradiction is one line, before any work, and no file is written."""
    before = set(project.iterdir())
    ran = run(*arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert problem in ran.err
    assert set(project.iterdir()) == before


def test_the_guard_writes_files_beside_its_text(run: Run, project: Path) -> None:
    """The guard prints, and writes a file for each `-o`, with the format of its suffix or the one before `=`."""
    names = {"a.json": "json", "b.md": "markdown", "c.xml": "junit", "d.sarif": "sarif", "e.csv": "csv"}
    options = [word for name in names for word in ("-o", name)]
    for command in (("guard",), ("guard", "update")):
        ran = run(*command, *options, "-o", "github=f.txt", "-f", "json")
        assert ran.code == 0
        assert ran.out == (project / "a.json").read_text()
        written = [*names, "f.txt"]
        assert [name for name in written if not (project / name).is_file()] == []
        assert (project / "c.xml").read_text().startswith("<?xml")
        for name in written:
            (project / name).unlink()
