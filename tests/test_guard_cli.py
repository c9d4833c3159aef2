"""The output of `mbanalyze guard`: formats, files and the advised command."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
from commandline import Run, in_terminal
from guarded import NET, POLICY, document_of, edit, repository
from warm import warm_python


@pytest.mark.parametrize("name", ["two words", "-q", "it's", "a\nb"])
def test_the_advised_command_works_for_every_name(name: str, project: Path, run: Run) -> None:
    """The command on the last line fixes the failure for every name of a model."""
    (project / "pyproject.toml").write_text(
        POLICY.replace("models.small", f"models.{json.dumps(name)}") + POLICY
    )
    assert run("guard", "update").code == 0
    edit(project / "pyproject.toml", (POLICY, POLICY.replace("source", "options = { alpha = 1.0 }\nsource")))
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace("alpha = 1.0", "alpha = 2.0", 1)
    )
    command = run("guard").out.splitlines()[-1]
    assert command.startswith("mbanalyze guard update")

    assert run(*shlex.split(command)[1:]).code == 0
    assert run("guard").code == 0


def test_output_of_other_programs_stays_off_stdout(project: Path) -> None:
    """A model that starts a program leaves the JSON on stdout valid, also at a git ref."""
    (project / "net.py").write_text(
        NET
        + "\nimport os, atexit\nos.system('echo raw')\natexit.register(print, 'bye', file=__import__('sys').stderr)\n"
    )
    repository(project)
    command = [warm_python(), "-m", "mbanalyze", "guard"]
    ran = [
        subprocess.run(
            [*command, *rest, "--format", "json"], cwd=project, capture_output=True, text=True, check=False
        )
        for rest in ([], ["diff", "--base", "HEAD"])
    ]

    assert [json.loads(each.stdout)["exit"] for each in ran] == [each.returncode for each in ran] == [0, 0]
    assert "raw" in ran[0].stderr


def test_outputs_of_several_formats(project: Path, run: Run) -> None:
    """Each --output writes a file; a malformed or unwritable one is an error before any model is counted."""
    ran = run("guard", "--output", "json=a.json", "--output", "markdown=a.md")

    assert (ran.code, ran.out) == (0, run("guard").out)
    assert json.loads((project / "a.json").read_text()) == document_of(run)
    assert (project / "a.md").read_text() == run("guard", "--format", "markdown").out
    for wrong in ("json", "word=a.doc", "json=", "json=no/such/folder.json"):
        ran = run("guard", "--output", wrong)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert run("guard", "--output", "json=b.json", "--output", "json=c.json").code == 2
    assert run("guard", "--format", "json", "update").code == 2


def test_the_github_summary(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The format github appends the Markdown to the job summary."""
    summary = project / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run("guard")
    assert summary.read_text() == "before\n"
    run("guard", "--format", "github")

    assert summary.read_text() == "before\n" + run("guard", "--format", "markdown").out


@pytest.mark.posix
def test_progress_on_a_terminal(project: Path) -> None:
    """A terminal shows the number of the model that is counted, or the ref; a pipe shows nothing."""
    (project / "pyproject.toml").write_text(POLICY + POLICY.replace("small", "other"))
    repository(project)
    shown = in_terminal(80, "guard", "update", messages=True)
    at_ref = in_terminal(80, "guard", "diff", "--base", "HEAD", messages=True)
    command = [warm_python(), "-m", "mbanalyze", "guard"]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)

    assert "counting model 1 of 2" in shown
    assert "counting the models at HEAD" in at_ref
    assert ran.stderr == ""
