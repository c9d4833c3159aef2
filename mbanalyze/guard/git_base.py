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
from mbanalyze.guard.lock import Lock
from mbanalyze.guard.measuring import Measured, measure
from mbanalyze.guard.policy import Model, Policy, PolicyError

COUNT = "import sys; from mbanalyze.guard import git_base; git_base.main(sys.argv[1:])"


class HistoryError(ValueError):
    """A git ref that is not there, or whose models cannot be counted."""


@dataclass(frozen=True, slots=True)
class Base:
    """What models cost at a commit.

    Attributes:
        name: of the ref, with the commit.
        lock: those that could be counted.
        failed: why the others could not, by name; "" of those that were not there.
    """

    name: str
    lock: Lock
    failed: Mapping[str, str]


def measure_at(now: Policy, ref: str) -> Base:
    """The models at `ref`, or where the current branch left it, as the policy there has them.

    Where there was no policy, as `now` has them; those that were not there either are left out.

    Raises:
        HistoryError: there is no such ref, its policy cannot be read, or counting ended without an answer.
    """
    path = now.path.resolve()
    top = Path(_git(path.parent, "rev-parse", "--show-toplevel"))
    commit = _commit(path.parent, ref)
    name = f"{ref} ({commit[:9]})"
    with _checked_out(top, commit) as folder:
        there = _policy_at(folder, folder / path.relative_to(top), now)
        beside = there.parent if there else folder / path.parent.relative_to(top)
        beside.mkdir(parents=True, exist_ok=True)
        answer = folder.parent / "answer.json"
        command = [sys.executable, "-P", "-c", COUNT, *map(str, (there or path, beside, top, folder, answer))]
        ran = subprocess.run(command, cwd=beside, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        try:
            found = json.loads(answer.read_text(encoding="utf-8"))
            base = Base(name, lock.loads(found["lock"], name), found["failed"])
        except (OSError, ValueError, KeyError) as error:
            raise HistoryError(
                f"the models of {name} could not be counted (exit code {ran.returncode})"
            ) from error
    if found["astray"]:
        raise HistoryError(found["astray"])
    return base if there else Base(name, base.lock, {n: why for n, why in base.failed.items() if why})


def _policy_at(checkout: Path, usual: Path, now: Policy) -> Path | None:
    """The policy in a checkout: where it is now, or else the only one that has one of these models.

    Raises:
        HistoryError: it cannot be read.
    """
    if usual.is_file():
        try:
            policy.load(usual)
        except PolicyError as error:
            if "has no [tool.mbanalyze]" not in str(error):
                raise HistoryError(str(error).replace(f"{checkout}{os.sep}", "at the ref, ")) from error
        else:
            return usual
    found = []
    for file in (*checkout.rglob("pyproject.toml"), *checkout.rglob("mbanalyze.toml")):
        with suppress(PolicyError):
            then = policy.load(file).models
            if then.keys() & now.models.keys() or _sources(then) & _sources(now.models):
                found.append(file)
    return found[0] if len(found) == 1 else None


def _sources(models: Mapping[str, Model]) -> set[str]:
    return {model.source for model in models.values()}


def main(arguments: list[str]) -> None:
    """Write as JSON what a policy's models cost in a folder: what a process of its own does.

    Args:
        arguments: the policy's file, the folder that stands for its own, the working tree, the checkout, and
            the file to write.
    """
    file, folder, top, checkout, answer = map(Path, arguments)
    known = policy.load(file)
    moved = tuple(_moved(place, top, checkout) for place in known.python_path)
    there = Policy(folder / file.name, known.lock, known.models, moved)
    with redirect_stdout(sys.stderr):
        measured = measure(there, there.models)
    astray = _astray(
        checkout, {source.partition(".")[0].partition(":")[0] for source in _sources(known.models)}
    )
    failed = {
        each.model.name: "" if _is_absent(each) else each.reason for each in measured if each.facts is None
    }
    counted = Lock({each.model.name: each.facts for each in measured if each.facts is not None})
    answer.write_text(
        json.dumps({"lock": lock.dumps(counted), "failed": failed, "astray": astray}), encoding="utf-8"
    )


def _moved(place: Path, top: Path, checkout: Path) -> Path:
    """A folder of the working tree as it is in the checkout; any other as it is."""
    return checkout / place.relative_to(top) if place.is_relative_to(top) else place


def _is_absent(measured: Measured) -> bool:
    """Whether a model could not be measured because there is no such file, package or factory."""
    place, _, name = measured.model.source.rpartition(":")
    package = place.partition(".")[0]
    signs = (f"there is no file {place}", f"{place} has no {name!r}", f"No module named {package!r}")
    return measured.reason.endswith(signs)


def _astray(checkout: Path, packages: set[str]) -> str:
    """One of these packages that the checkout has, but that was imported from elsewhere, if there is one."""
    for name in packages & sys.modules.keys() - {"mbanalyze"}:
        file = Path(sys.modules[name].__file__ or checkout).resolve()
        ours = any((*checkout.rglob(f"{name}/__init__.py"), *checkout.rglob(f"{name}.py")))
        if ours and not file.is_relative_to(checkout):
            return f"{name} was imported from {file.parent}, not from the ref: name its folder in python_path"
    return ""


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
        _git(top, "worktree", "prune")
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
