"""The measurement of guarded models at a git ref, in a temporary checkout and a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

from mbanalyze.guard import lock, policy_file
from mbanalyze.guard.lock import Lock
from mbanalyze.guard.policy import GuardedModel, Policy, PolicyError
from mbanalyze.guard.policy_file import MissingPolicyError
from mbanalyze.guard.runner import MeasuredModel, measure, measurements

CHILD = "import sys; from mbanalyze.guard import git_base; git_base.main(sys.argv[1:])"


class GitError(ValueError):
    """A git ref that does not exist, or whose models cannot be measured."""


@dataclass(frozen=True, slots=True)
class GitBase:
    """The costs of models at a commit.

    Attributes:
        name: ref and commit.
        lock: measurements of the models.
        failed: reasons why the other models could not be measured, by name. Models that did not exist at the
            commit are in neither.
    """

    name: str
    lock: Lock
    failed: Mapping[str, str]


def measure_at(policy: Policy, ref: str) -> GitBase:
    """Measure the models at the commit where the current branch left `ref`, with the policy of that commit.

    If that commit has no policy, `policy` applies.

    Raises:
        GitError: the ref does not exist, its policy is invalid, or its models could not be measured.
    """
    path = policy.path.resolve()
    top = Path(_git(path.parent, "rev-parse", "--show-toplevel"))
    commit = _base_commit(path.parent, ref)
    name = f"{ref} ({commit[:9]})"
    with _checkout(top, commit) as checkout:
        file = _policy_in(checkout, checkout / path.relative_to(top), policy)
        folder = file.parent if file else checkout / path.parent.relative_to(top)
        folder.mkdir(parents=True, exist_ok=True)
        answer = checkout.parent / "answer.json"
        arguments = map(str, (file or path, folder, top, checkout, answer))
        command = [sys.executable, "-P", "-c", CHILD, *arguments]
        ran = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        try:
            found = json.loads(answer.read_text(encoding="utf-8"))
            base = GitBase(name, lock.loads(found["lock"], name), found["failed"])
        except (OSError, ValueError, KeyError) as error:
            problem = f"the models at {name} could not be measured (exit code {ran.returncode})"
            raise GitError(problem) from error
    if found["misplaced"]:
        raise GitError(found["misplaced"])
    return base


def _policy_in(checkout: Path, usual: Path, policy: Policy) -> Path | None:
    """The policy file of a checkout: at its usual path, or else the only one that shares a model with `policy`.

    Raises:
        GitError: the policy at the usual path is invalid.
    """
    if usual.is_file():
        try:
            policy_file.load(usual)
        except MissingPolicyError:
            pass
        except PolicyError as error:
            problems = "; ".join(error.problems)
            raise GitError(problems.replace(f"{checkout}{os.sep}", "at the ref, ")) from error
        else:
            return usual
    found = []
    for file in (*checkout.rglob("pyproject.toml"), *checkout.rglob("mbanalyze.toml")):
        with suppress(PolicyError):
            models = policy_file.load(file).models
            if models.keys() & policy.models.keys() or _sources(models) & _sources(policy.models):
                found.append(file)
    return found[0] if len(found) == 1 else None


def _sources(models: Mapping[str, GuardedModel]) -> set[str]:
    return {model.source for model in models.values()}


def main(arguments: list[str]) -> None:
    """Measure the models of a policy in another folder and write the result as JSON, in the child process.

    Args:
        arguments: policy file, folder to measure in, top of the working tree, top of the checkout, and file
            to write.
    """
    file, folder, top, checkout, answer = map(Path, arguments)
    known = policy_file.load(file)
    moved = tuple(_in_checkout(place, top, checkout) for place in known.python_path)
    policy = Policy(folder / file.name, known.lock, known.models, moved)
    with redirect_stdout(sys.stderr):
        measured = measure(policy, policy.models)
    failed = [each for each in measured if each.measurement is None and not _is_absent(each)]
    result = {
        "lock": lock.dumps(Lock(measurements(measured))),
        "failed": {each.model.name: each.reason for each in failed},
        "misplaced": _misplaced_package(checkout, _packages(known)),
    }
    answer.write_text(json.dumps(result), encoding="utf-8")


def _in_checkout(folder: Path, top: Path, checkout: Path) -> Path:
    """A folder of the working tree in the checkout; any other folder unchanged."""
    return checkout / folder.relative_to(top) if folder.is_relative_to(top) else folder


def _is_absent(measured: MeasuredModel) -> bool:
    """True if a model could not be measured because its file, package or factory does not exist."""
    place, _, name = measured.model.source.rpartition(":")
    package = place.partition(".")[0]
    signs = (f"there is no file {place}", f"{place} has no {name!r}", f"No module named {package!r}")
    return measured.reason.endswith(signs)


def _packages(policy: Policy) -> set[str]:
    """The top-level packages of the sources."""
    return {source.partition(":")[0].partition(".")[0] for source in _sources(policy.models)}


def _misplaced_package(checkout: Path, packages: set[str]) -> str:
    """A message about a package that the checkout has, but that Python imported from elsewhere; "" if none."""
    for name in packages & sys.modules.keys() - {"mbanalyze"}:
        file = Path(sys.modules[name].__file__ or checkout).resolve()
        in_checkout = any((*checkout.rglob(f"{name}/__init__.py"), *checkout.rglob(f"{name}.py")))
        if in_checkout and not file.is_relative_to(checkout):
            return f"{name} was imported from {file.parent}, not from the ref: add its folder to python_path"
    return ""


def _base_commit(folder: Path, ref: str) -> str:
    """The commit where the current branch left `ref`, or the commit of `ref` if they share no history."""
    verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    commit = _git(folder, *verify, missing=ref)
    with suppress(GitError):
        return _git(folder, "merge-base", commit, "HEAD")
    return commit


@contextmanager
def _checkout(top: Path, commit: str) -> Iterator[Path]:
    """A temporary folder with the files of a commit."""
    with tempfile.TemporaryDirectory(prefix="mbanalyze-") as place:
        folder = Path(place).resolve() / "tree"
        _git(top, "worktree", "prune")
        _git(top, "worktree", "add", "--detach", "--force", "--quiet", str(folder), commit)
        try:
            yield folder
        finally:
            _git(top, "worktree", "remove", "--force", str(folder))


def _git(folder: Path, *arguments: str, missing: str = "") -> str:
    """The output of a git command.

    Args:
        folder: folder to run git in.
        arguments: command and its arguments.
        missing: ref that does not exist if the command fails.

    Raises:
        GitError: git is not installed, or the command fails.
    """
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments]
    # A hook runs with variables such as GIT_DIR, which would direct git to another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=env)  # noqa: S603
    except FileNotFoundError as error:
        raise GitError("guard diff needs git") from error
    except subprocess.CalledProcessError as error:
        if missing:
            hint = "in CI, fetch it first (actions/checkout: fetch-depth: 0)"
            raise GitError(f"git knows no commit {missing!r}: {hint}") from error
        lines = error.stderr.strip().splitlines() or ["no message"]
        raise GitError(f"git {arguments[0]}: {lines[-1]}") from error
    return ran.stdout.strip()
