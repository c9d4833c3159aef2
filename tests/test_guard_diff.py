"""The comparison of guarded models with a git ref."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Run
from guarded import POLICY, edit, git, layers_in, model_in, repository
from test_cli_files import LIMITED
from warm import warm_python

from mbanalyze.guard.git_base import _reason


@pytest.fixture
def committed(project: Path) -> Path:
    """The project in a repository."""
    return repository(project)


def test_diff_needs_no_lock(committed: Path, run: Run) -> None:
    """A growth since a ref is reported with its layer; no lock is needed and no folder is left behind."""
    (committed / "mbanalyze.lock.json").unlink()
    assert run("guard", "diff", "--base", "main").code == 0
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    ran = run("guard", "diff", "--base", "main", "--format", "json")
    said = json.loads(ran.out)

    assert (ran.code, model_in(said)["verdict"]) == (1, "worse")
    assert layers_in(said, "worse").keys() == {"head"}
    assert said["command"] == "mbanalyze guard explain --base main small"
    assert run(*said["command"].split()[1:]).code == 1
    assert git(committed, "worktree", "list").count("\n") == 0
    assert not (committed / "mbanalyze.lock.json").exists()


@pytest.mark.parametrize(
    ("limit", "stdout", "stderr"),
    [
        (0, "", "mbanalyze: error: cannot write a temporary folder: make room in "),
        (3000, "the answer of its process could not be written: make room in ", ""),
    ],
)
def test_diff_on_a_full_disk(committed: Path, limit: int, stdout: str, stderr: str) -> None:
    """Without room for temporary files, the command says so without a traceback, and exits with 2."""
    git(committed, "rm", "--quiet", "mbanalyze.lock.json")  # it is longer than the limits
    git(committed, "commit", "--quiet", "--message=no lock")
    command = [sys.executable, "-c", LIMITED, str(limit), "guard", "diff", "--base", "main"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert stdout in " ".join(ran.stdout.split())
    assert ran.stderr.startswith(stderr)
    assert ran.stderr.count("\n") == bool(stderr)
    assert git(committed, "worktree", "list").count("\n") == 0


def test_a_file_that_git_cannot_write_is_named() -> None:
    """Of the messages of git about a full disk, the first one is shown, with advice."""
    printed = "error: unable to write file net.py\nfatal: Could not reset index file to revision 'HEAD'.\n"

    assert _reason(printed).startswith("error: unable to write file net.py: make room in ")
    assert _reason("fatal: no\n") == "fatal: no"
    assert _reason("") == "no message"


def test_diff_compares_with_the_merge_base(committed: Path, run: Run) -> None:
    """A model that became smaller on the base branch in the meantime is no growth."""
    git(committed, "checkout", "--quiet", "-b", "topic")
    git(committed, "checkout", "--quiet", "main")
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    git(committed, "commit", "--quiet", "--all", "--message=smaller")
    git(committed, "checkout", "--quiet", "topic")

    assert run("guard", "diff", "--base", "main").code == 0


def test_diff_of_a_smaller_model(committed: Path, run: Run) -> None:
    """A smaller model passes even if the policy is strict, because no lock can be outdated."""
    edit(committed / "pyproject.toml", ("source", "strict = true\nsource"))
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 9)"))
    ran = run("guard", "diff", "--base", "main")

    assert (ran.code, "better" in ran.out, "outdated" in ran.out) == (0, True, False)


def test_diff_uses_the_policy_of_the_ref(committed: Path, run: Run) -> None:
    """The policy of the ref supplies the old options; a new model passes, and a lost one is listed."""
    edit(committed / "pyproject.toml", ("inputs", "options = { alpha = 1.5 }\ninputs"))
    assert run("guard", "diff", "--base", "HEAD").code == 1
    (committed / "pyproject.toml").write_text(
        POLICY.replace("models.small", "models.other").replace("build", "Net")
    )
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert said["exit"] == 0
    assert {each["name"]: each["verdict"] for each in said["models"]} == {"other": "ok", "small": "gone"}
    assert model_in(said, "other")["reason"].startswith("new since HEAD")


def test_diff_without_a_policy_at_the_ref(committed: Path, run: Run) -> None:
    """The current policy applies to the files of a ref without a policy."""
    git(committed, "rm", "--quiet", "--cached", "pyproject.toml")
    git(committed, "commit", "--quiet", "--message=without")
    edit(committed / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))

    assert run("guard", "diff", "--base", "HEAD").code == 1


def test_diff_with_an_invalid_policy_at_the_ref(committed: Path, run: Run) -> None:
    """An invalid policy at the ref is an error and does not count as a missing one."""
    good = (committed / "pyproject.toml").read_text()
    (committed / "pyproject.toml").write_text(good.replace("source", "unheard_of = 1\nsource"))
    git(committed, "commit", "--quiet", "--all", "--message=bad")
    (committed / "pyproject.toml").write_text(good)
    ran = run("guard", "diff", "--base", "HEAD")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "at the ref, pyproject.toml: models.small: unknown key 'unheard_of'" in ran.err


@pytest.mark.parametrize(
    ("then", "code", "reason"),
    [
        ("import no_such_package\n", 2, "no_such_package"),
        ("def another():\n    pass\n", 0, "new since"),
        (None, 0, "new since"),
    ],
)
def test_diff_of_a_model_that_did_not_exist(
    then: str | None, code: int, reason: str, committed: Path, run: Run
) -> None:
    """Without a policy at the ref, a missing file or factory makes a model new; a broken one is an error."""
    good = (committed / "net.py").read_text()
    git(committed, "rm", "--quiet", "--cached", "pyproject.toml")
    (committed / "net.py").unlink()
    if then is not None:
        (committed / "net.py").write_text(then)
    git(committed, "add", "--update")
    git(committed, "commit", "--quiet", "--message=before")
    (committed / "net.py").write_text(good)
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert said["exit"] == code
    assert reason in model_in(said)["reason"]


def test_diff_follows_a_moved_policy(committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy in another folder is found, and a renamed model is recognised by its source."""
    (committed / "nets").mkdir()
    for name in ("net.py", "pyproject.toml"):
        git(committed, "mv", name, f"nets/{name}")
    monkeypatch.chdir(committed / "nets")
    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "nets" / "pyproject.toml", ("models.small", "models.tiny"))
    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "nets" / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert {each["name"]: each["verdict"] for each in said["models"]} == {"tiny": "worse"}


@pytest.mark.posix
def test_diff_ignores_hooks_and_their_environment(
    committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkout runs no hook, and the GIT variables of a hook have no effect."""
    hook = committed / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {committed}/ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")

    assert run("guard", "diff", "--base", "main").code == 0
    assert not (committed / "ran").exists()


def test_diff_with_python_path(committed: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A python_path inside the repository is that of the ref; any other stays the same."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "widths.py").write_text("WIDTH = 10\n")
    edit(
        committed / "net.py",
        ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, WIDTH)"),
        ("import torch\n", "import torch\nfrom widths import WIDTH\n"),
    )
    edit(
        committed / "pyproject.toml",
        ("[tool", f'[tool.mbanalyze]\npython_path = ["{elsewhere}", "{committed}"]\n[tool'),
    )
    git(committed, "commit", "--quiet", "--all", "--message=widths")

    assert run("guard", "diff", "--base", "HEAD").code == 0
    edit(committed / "net.py", ("2 * c, WIDTH", "2 * c, WIDTH + 1"))
    assert run("guard", "diff", "--base", "HEAD").code == 1


def test_diff_of_an_installed_package(committed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is imported from outside the ref is an error until python_path names its folder."""
    (committed / "lib" / "nets").mkdir(parents=True)
    (committed / "net.py").rename(committed / "lib" / "nets" / "__init__.py")
    policy = '[tool.mbanalyze.models.small]\nsource = "nets:build"\ninputs = ["1,3,64,64"]\n'
    (committed / "pyproject.toml").write_text(policy)
    git(committed, "add", "--all")
    git(committed, "commit", "--quiet", "--message=package")
    edit(committed / "lib" / "nets" / "__init__.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    command = [warm_python(), "-m", "mbanalyze", "guard", "diff", "--base", "HEAD"]
    rest = os.environ.get("PYTHONPATH", "")
    env = {"PYTHONPATH": f"{committed / 'lib'}{os.pathsep}{rest}", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(command, cwd=committed, env=env, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "nets was imported from" in ran.stderr
    installed = committed.parent / "site-packages"
    shutil.copytree(committed / "lib" / "nets", installed / "nets")
    elsewhere = {**env, "PYTHONPATH": f"{installed}{os.pathsep}{rest}"}
    ran = subprocess.run(command, cwd=committed, env=elsewhere, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    edit(committed / "pyproject.toml", ("[tool", '[tool.mbanalyze]\npython_path = ["lib"]\n[tool'))
    git(committed, "commit", "--quiet", "--all", "--message=path")
    edit(committed / "lib" / "nets" / "__init__.py", ("nn.Linear(2 * c, 11)", "nn.Linear(2 * c, 12)"))
    ran = subprocess.run(command, cwd=committed, env=env, capture_output=True, text=True, check=False)
    assert (ran.returncode, "worse" in ran.stdout) == (1, True)


@pytest.mark.parametrize("ref", ["no-such-branch", "--help", ""])
def test_a_missing_ref(ref: str, committed: Path, run: Run) -> None:
    """A ref that does not exist is one line on stderr."""
    ran = run("guard", "diff", "--base", ref)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_diff_outside_a_repository(project: Path, run: Run) -> None:
    """A folder outside a repository is one line on stderr."""
    ran = run("guard", "diff", "--base", "main")

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "not a git repository" in ran.err


def test_a_broken_model_at_the_ref(committed: Path, run: Run) -> None:
    """A model that cannot be measured at the ref fails, and the message names the ref."""
    good = (committed / "net.py").read_text()
    (committed / "net.py").write_text("import no_such_package\n")
    git(committed, "commit", "--quiet", "--all", "--message=broken")
    (committed / "net.py").write_text(good)
    said = json.loads(run("guard", "diff", "--base", "HEAD", "--format", "json").out)

    assert (said["exit"], model_in(said)["verdict"]) == (2, "could not measure")
    assert "at HEAD" in model_in(said)["reason"]
