"""The measurement of guarded models at a git ref, in a temporary checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mbanalyze.display.temporary import make_room, temporary_folder
from mbanalyze.guard import policy_file
from mbanalyze.guard.counting import MeasuredModel
from mbanalyze.guard.lock import Lock
from mbanalyze.guard.policy import GuardedModel, Policy, PolicyError
from mbanalyze.guard.policy_file import MissingPolicyError
from mbanalyze.guard.runner import measure, measurements
from mbanalyze.sources.definitions import split_factory


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
        OutputError: no temporary folder can be written.
    """
    path = policy.path.resolve()
    top = Path(_git(path.parent, "rev-parse", "--show-toplevel"))
    commit = _base_commit(path.parent, ref)
    name = f"{ref} ({commit[:9]})"
    with _checkout(top, commit) as checkout:
        file = _policy_in(checkout, checkout / path.relative_to(top), policy)
        folder = file.parent if file else checkout / path.parent.relative_to(top)
        folder.mkdir(parents=True, exist_ok=True)
        known = policy_file.load(file or path)
        moved = tuple(_in_checkout(place, top, checkout) for place in known.python_path)
        models = {name: replace(model, profile=None) for name, model in known.models.items()}
        then = Policy(folder / (file or path).name, known.lock, models, moved)  # a base has no predicted time
        measured = measure(then, then.models, inherit_path=False)
        _require_own_packages(measured, checkout)
    failed = [each for each in measured if each.measurement is None and not _is_absent(each)]
    return GitBase(name, Lock(measurements(measured)), {each.model.name: each.reason for each in failed})


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


def _in_checkout(folder: Path, top: Path, checkout: Path) -> Path:
    """A folder of the working tree in the checkout; any other folder unchanged."""
    return checkout / folder.relative_to(top) if folder.is_relative_to(top) else folder


def _is_absent(measured: MeasuredModel) -> bool:
    """True if a model could not be measured because its file, package or factory does not exist."""
    place, name = split_factory(measured.model.source)
    package = place.partition(".")[0]
    signs = (f"there is no file {place}", f"{place} has no {name!r}", f"No module named {package!r}")
    return any(sign in measured.reason for sign in signs)


def _require_own_packages(measured: Sequence[MeasuredModel], checkout: Path) -> None:
    """Raise `GitError` if Python imported the package of a model from elsewhere although the checkout has it."""
    packages = {_package(each.model): Path(each.package).resolve() for each in measured if each.package}
    for name, file in packages.items():
        if name == "mbanalyze" or file.is_relative_to(checkout):
            continue
        if any((*checkout.rglob(f"{name}/__init__.py"), *checkout.rglob(f"{name}.py"))):
            fix = "add its folder to python_path"
            raise GitError(f"{name} was imported from {file.parent}, not from the ref: {fix}")


def _package(model: GuardedModel) -> str:
    """The top-level package of a source."""
    return model.source.partition(":")[0].partition(".")[0]


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
    with temporary_folder() as place:
        folder = place.resolve() / "tree"
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
        ran = subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=True, env=env
        )
    except FileNotFoundError as error:
        raise GitError("guard diff needs git") from error
    except subprocess.CalledProcessError as error:
        if missing:
            hint = "in CI, fetch it first (actions/checkout: fetch-depth: 0)"
            raise GitError(f"git knows no commit {missing!r}: {hint}") from error
        raise GitError(f"git {arguments[0]}: {_reason(error.stderr)}") from error
    return ran.stdout.strip()


def _reason(printed: str) -> str:
    """The reason of a failure in what git printed: a file that it cannot write, else the last line."""
    lines = printed.strip().splitlines() or ["no message"]
    unwritten = next((line for line in lines if "unable to write" in line), None)
    return f"{unwritten}: {make_room()}" if unwritten else lines[-1]
