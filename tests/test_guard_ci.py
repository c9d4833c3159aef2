"""The guard in GitHub Actions, GitLab CI and pre-commit, and this project's own lock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from guarded import edit, repository, write_project
from warm import warm_python

from mbanalyze import guard
from mbanalyze.archs import ARCHS
from mbanalyze.guard import load

pytestmark = pytest.mark.posix

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "guard.md").read_text()
BIN = Path(sys.executable).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a current lock, in a repository."""
    write_project(tmp_path)
    guard.update(load(tmp_path / "pyproject.toml"))
    return repository(tmp_path)


def grown(project: Path) -> Path:
    """Widen the classifier of the project."""
    edit(project / "net.py", ("nn.Linear(2 * c, 10)", "nn.Linear(2 * c, 11)"))
    return project


def test_the_projects_own_networks() -> None:
    """The lock under reports/ lists all networks of this project, with their exact costs."""
    policy = load(ROOT / "pyproject.toml")
    outcome = guard.check(policy, ci=True)

    assert policy.lock == ROOT / "reports" / "mbanalyze.lock.json"
    assert {*ARCHS} == {model.source for model in policy.models.values()}
    assert [("ok", 0)] * len(ARCHS) == [(each.verdict, each.exit_code) for each in outcome.models]


def step(name: str, **inputs: str) -> tuple[str, dict[str, str]]:
    """Return the script of a step of the Action, and its environment with these inputs."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (found,) = (each for each in action["runs"]["steps"] if each["name"] == name)
    values = {key: str(given["default"]) for key, given in action["inputs"].items()} | inputs
    assert inputs.keys() <= action["inputs"].keys()

    def put(text: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: values[m[1]], text)

    return found["run"], {key: put(text) for key, text in found["env"].items()}


def act(project: Path, summary: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the last step of the Action as GitHub does."""
    script, env = step("Guard", python=warm_python(), **inputs)
    github = {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(project),
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=project, env={**os.environ, **github, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_action(project: Path) -> None:
    """The Action annotates the line that makes the layer that grew, and writes the job summary and the requested outputs."""
    summary = project / "summary.md"
    ran = act(project, summary)
    assert (ran.returncode, ran.stdout) == (0, "")
    ran = act(grown(project), summary, outputs="json=a.json\nsarif=a.sarif\n")
    line = (project / "net.py").read_text().splitlines().index("        self.head = nn.Linear(2 * c, 11)") + 1

    assert ran.returncode == 1
    assert ran.stdout.startswith(f"::error file=net.py,line={line},title=")
    assert "head" in ran.stdout
    assert summary.read_text().count("## Model costs") == 2
    assert (project / "a.json").exists()
    assert (project / "a.sarif").exists()


def test_the_action_against_a_ref(project: Path) -> None:
    """The Action with a base needs no lock, and takes the path of a policy."""
    (project / "mbanalyze.lock.json").unlink()
    (project / "pyproject.toml").rename(project / "costs.toml")
    ran = act(grown(project), project / "summary.md", base="HEAD", config="costs.toml")

    assert ran.returncode == 1
    assert "head" in ran.stdout


def test_the_action_installs_itself(tmp_path: Path) -> None:
    """The first step installs mbanalyze from the folder of the Action, unless `install` is "false"."""
    script, env = step("Install mbanalyze", python=str(tmp_path / "python"))
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python").chmod(0o755)
    env["ACTION"] = str(ROOT)
    ran = subprocess.run(["bash", "-ec", script], env=env, capture_output=True, text=True, check=True)

    index = "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert ran.stdout == f"-m pip install --quiet --disable-pip-version-check {index} {ROOT}\n"
    env["TORCH_INDEX"] = ""
    ran = subprocess.run(["bash", "-euc", script], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout == f"-m pip install --quiet --disable-pip-version-check {ROOT}\n"
    assert "if: inputs.install == 'true'" in (ROOT / "action.yml").read_text()


def valid(schema: str, file: Path) -> bool:
    """Return True if a file fits the published schema of its format."""
    import check_jsonschema  # it takes a second

    ran = CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", f"vendor.{schema}", str(file)])
    assert ran.exit_code in (0, 1), ran.output
    return ran.exit_code == 0


def examples() -> list[str]:
    """Return the YAML examples of the guide: for GitHub without and with a comment, GitLab and pre-commit."""
    return re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


def test_files_fit_their_schemas(tmp_path: Path) -> None:
    """The Action and the examples of the guide fit their schemas; a broken workflow does not."""
    workflow, comment, gitlab, _ = examples()
    for name, text in {
        "workflow.yml": workflow,
        "comment.yml": comment,
        "gitlab.yml": gitlab,
        "bad.yml": workflow.replace("steps", "stages"),
    }.items():
        (tmp_path / name).write_text(text)

    assert valid("github-actions", ROOT / "action.yml")
    assert valid("github-workflows", ROOT / ".github" / "workflows" / "ci.yml")
    assert valid("github-workflows", tmp_path / "workflow.yml")
    assert valid("github-workflows", tmp_path / "comment.yml")
    assert valid("gitlab-ci", tmp_path / "gitlab.yml")
    assert not valid("github-workflows", tmp_path / "bad.yml")


def test_the_guides_examples_run(project: Path, tmp_path: Path) -> None:
    """The commands of the workflow and of the GitLab job succeed and write the report."""
    workflow, gitlab = (yaml.safe_load(text) for text in (examples()[0], examples()[2]))
    commands = [
        each["run"] for each in workflow["jobs"]["guard"]["steps"] if "mbanalyze guard" in each.get("run", "")
    ]
    commands += [line for line in gitlab["model cost"]["script"] if "mbanalyze guard" in line]
    env = {**os.environ, "CI": "true", "PATH": f"{Path(warm_python()).parent}:{os.environ['PATH']}"}

    assert len(commands) == 2
    for command in commands:
        assert (
            subprocess.run(command.split(), cwd=project, env=env, check=False, capture_output=True).returncode
            == 0
        )
    assert (project / gitlab["model cost"]["artifacts"]["reports"]["junit"]).exists()


GH = """\
#!/bin/sh
echo "$@" >> calls.txt
case "$*" in *--jq*) cat ids.txt;; esac
"""


def test_the_comment_is_edited_in_place(tmp_path: Path) -> None:
    """The guide's step posts a marked comment, and edits the first marked comment if there is one."""
    *_, step = yaml.safe_load(examples()[1])["jobs"]["guard"]["steps"]
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "guard.md").write_text("## Model costs\n" + "x" * 70_000)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "REPO": "repos/a/b", "NUMBER": "7"}
    calls = []
    for ids in ("", "11\n12\n"):
        (tmp_path / "ids.txt").write_text(ids)
        (tmp_path / "calls.txt").unlink(missing_ok=True)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        subprocess.run(command, cwd=tmp_path, env=env, check=True)
        calls.append((tmp_path / "calls.txt").read_text().splitlines()[-1])

    comments = "repos/a/b/issues/7/comments"
    assert calls == [
        f"api --silent {comments} --field body=@comment.md",
        "api --silent --method PATCH repos/a/b/issues/comments/11 --field body=@comment.md",
    ]
    text = (tmp_path / "comment.md").read_text()
    assert text.startswith("<!-- mbanalyze guard -->\n## Model costs\n")
    assert len(text) < 65_536


def test_one_place_to_install_from() -> None:
    """README, the guide and the metadata name the same repository, and no recipe installs a release."""
    place = "https://github.com/OWNER/mbanalyze"
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    texts = [(ROOT / "README.md").read_text(), GUIDE]

    assert all(url.startswith(place) for url in urls.values())
    for text in texts:
        assert f'pip install "mbanalyze @ git+{place}"' in text
        assert not re.search(r"pip install '?mbanalyze", text)


def hook(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run pre-commit with this environment's mbanalyze on its PATH."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {
        "PATH": f"{Path(warm_python()).parent}:{BIN}:{env['PATH']}",
        "CI": "true",
        "PRE_COMMIT_HOME": str(project.parent / "cache"),
    }
    return subprocess.run(
        [BIN / "pre-commit", *command], cwd=project, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_hook(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """pre-commit runs the hook of this repository's manifest before a push."""
    ours = tmp_path_factory.mktemp("hooks")
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", ours)
    command = ("try-repo", str(repository(ours)), "mbanalyze-guard", "--hook-stage", "pre-push", "--verbose")
    ran = hook(project, *command)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\n1 ok\n" in ran.stdout
    subprocess.run(
        ["git", "add", "--all"], cwd=grown(project), check=True
    )  # pre-commit stashes unstaged changes
    ran = hook(project, *command)

    assert ran.returncode == 1
    assert "exit code: 1" in ran.stdout
    assert "mbanalyze guard update" in ran.stdout


@pytest.mark.slow
def test_the_guides_hook_stops_a_push(project: Path) -> None:
    """The hook of the guide lets a push through, and stops a push of a model that grew."""
    (project / ".pre-commit-config.yaml").write_text(examples()[3])
    assert hook(project, "install", "--hook-type", "pre-push").returncode == 0
    subprocess.run(["git", "init", "--quiet", "--bare", project.parent / "remote.git"], check=True)
    env = {
        **os.environ,
        "PATH": f"{Path(warm_python()).parent}:{os.environ['PATH']}",
        "CI": "true",
        "PRE_COMMIT_HOME": str(project.parent / "cache"),
    }

    def push() -> Any:
        for command in (
            ["add", "--all"],
            ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "next"],
        ):
            subprocess.run(["git", *command], cwd=project, check=True)
        command = ["git", "push", "--quiet", str(project.parent / "remote.git"), "main"]
        return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)

    assert push().returncode == 0
    grown(project)
    ran = push()
    assert ran.returncode == 1
    assert "mbanalyze guard update" in ran.stdout + ran.stderr
