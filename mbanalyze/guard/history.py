"""What the models cost at a git ref: its files are checked out beside the others, and counted by a process of its own."""

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

from mbanalyze.guard import lock, policy
from mbanalyze.guard.lock import Lock, LockError
from mbanalyze.guard.measuring import measure
from mbanalyze.guard.policy import Policy, PolicyError

COUNT = "import sys; from mbanalyze.guard import history; history.main(sys.argv[1:])"


class HistoryError(ValueError):
    """A git ref that is not there, or whose models cannot be counted."""


@dataclass(frozen=True, slots=True)
class Base:
    """What models cost at a commit.

    Attributes:
        name: of the ref, with the commit.
        lock: those that could be counted.
        failed: why the others could not, by name.
    """

    name: str
    lock: Lock
    failed: Mapping[str, str]


def measure_at(now: Policy, ref: str) -> Base:
    """The models at `ref`, or where the current branch left it, as the policy there has them.

    Where there was no policy, as `now` has them; those that were not there either are left out.

    Raises:
        HistoryError: there is no such ref, or counting ended without an answer.
    """
    path = now.path.resolve()
    top = Path(_git(path.parent, "rev-parse", "--show-toplevel"))
    commit = _commit(path.parent, ref)
    name = f"{ref} ({commit[:9]})"
    with _checked_out(top, commit) as folder:
        there = folder / path.relative_to(top)
        definition = there if _has_policy(there) else path
        command = [
            sys.executable,
            "-P",
            "-c",
            COUNT,
            str(definition),
            str(there.parent),
            str(top),
            str(folder),
        ]
        there.parent.mkdir(parents=True, exist_ok=True)
        ran = subprocess.run(command, cwd=there.parent, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    try:
        found = json.loads(ran.stdout)
        base = Base(name, lock.loads(found["lock"], name), found["failed"])
    except (ValueError, KeyError, LockError) as error:
        raise HistoryError(f"counting the models of {name} ended with exit code {ran.returncode}") from error
    return base if definition == there else Base(name, base.lock, {})


def main(arguments: list[str]) -> None:
    """Print as JSON what a policy's models cost in a folder: what a process of its own does.

    Args:
        arguments: the policy's file, the folder that stands for its own, the working tree, and the checkout.
    """
    file, folder, top, checkout = map(Path, arguments)
    known = policy.load(file)
    moved = tuple(folder / place.relative_to(file.parent) for place in known.python_path)
    with redirect_stdout(sys.stderr):
        there = Policy(folder / file.name, known.lock, known.models, moved)
        measured = measure(there, there.models)
    astray = _astray(top, checkout)
    if astray:
        raise SystemExit(f"mbanalyze: error: {astray}")
    failed = {each.model.name: each.reason for each in measured if each.facts is None}
    counted = Lock({each.model.name: each.facts for each in measured if each.facts is not None})
    sys.stdout.write(json.dumps({"lock": lock.dumps(counted), "failed": failed}))


def _astray(top: Path, checkout: Path) -> str:
    """A module of the project that came from the working tree instead of the checkout, if there is one."""
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        inside = file.is_relative_to(top) and not file.is_relative_to(checkout)
        if inside and name.partition(".")[0] != "mbanalyze" and "site-packages" not in file.parts:
            return f"{name} was imported from {top}, not from the ref: name its folder in python_path"
    return ""


def _has_policy(file: Path) -> bool:
    with suppress(PolicyError):
        policy.load(file)
        return True
    return False


def _commit(folder: Path, ref: str) -> str:
    """The commit where the current branch left `ref`; `ref` itself where they have none in common."""
    commit = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", missing=ref
    )
    with suppress(HistoryError):
        return _git(folder, "merge-base", commit, "HEAD")
    return commit


@contextmanager
def _checked_out(top: Path, commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, for as long as the `with` lasts."""
    with tempfile.TemporaryDirectory(prefix="mbanalyze-") as place:
        folder = Path(place).resolve() / "tree"
        _git(top, "worktree", "add", "--detach", "--force", "--quiet", str(folder), commit)
        try:
            yield folder
        finally:
            _git(top, "worktree", "remove", "--force", str(folder))


def _git(folder: Path, *arguments: str, missing: str = "") -> str:
    """What git prints.

    Raises:
        HistoryError: git is not there, or says no.
    """
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # a hook's own
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, env=env)  # noqa: S603
    except FileNotFoundError as error:
        raise HistoryError("guard diff needs git") from error
    except subprocess.CalledProcessError as error:
        if missing:
            hint = "in CI, fetch it first (actions/checkout: fetch-depth: 0)"
            raise HistoryError(f"git knows no commit {missing!r}: {hint}") from error
        said = error.stderr.strip().splitlines() or ["no message"]
        raise HistoryError(f"git {arguments[0]}: {said[-1]}") from error
    return ran.stdout.strip()
