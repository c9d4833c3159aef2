"""The guard: what models may cost is policy, what they cost is in a lock, and what became of them is a verdict."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mbanalyze.guard import history, lock
from mbanalyze.guard.judging import Judged, gone, judge
from mbanalyze.guard.lock import Lock, LockError
from mbanalyze.guard.measuring import Measured, measure
from mbanalyze.guard.policy import Policy, PolicyError, find

Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of every model of a policy.

    Attributes:
        policy: what people decided.
        against: what the models are held against: the lock's name, or a commit.
        models: each with its verdict, in the policy's order, and then those that are gone.
        problem: what is wrong with the lock itself; "" where nothing is.
        written: whether the lock was written.
        base: the git ref that the models are held against; None where that is the lock.
    """

    policy: Policy
    against: str
    models: tuple[Judged, ...]
    problem: str = ""
    written: bool = False
    base: str | None = None

    @property
    def command(self) -> str:
        """The command that mends it, or says more where none can; "" where all is fine."""
        lock = os.path.relpath(self.policy.lock)
        failing = [judged for judged in self.models if judged.exit]
        found = {judged.verdict: judged for judged in reversed(failing)}
        if self.written:
            return shlex.join(["git", "add", lock])
        if "could not measure" in found:
            return _report_command(found["could not measure"])
        if not (failing or self.problem):
            return ""
        config = _config(self.policy)
        names = [judged.name for judged in failing]
        if self.base or "over budget" in found:
            since = ["--base", self.base] if self.base else []
            over = [judged.name for judged in failing if judged.verdict == "over budget"]
            return shlex.join(["mbanalyze", "guard", "explain", *config, *since, *(over or names)])
        whole = self.problem or len(names) == len(self.models) or found.keys() & {"gone", "not comparable"}
        return shlex.join(["mbanalyze", "guard", "update", *config, *([] if whole else names)])

    @property
    def exit(self) -> int:
        """0 fine; 1 a model costs too much, or the lock is not that of these models; 2 it could not be found out."""
        return max([2 if self.problem else 0, *(judged.exit for judged in self.models)])


def check(policy: Policy, *, ci: bool = False, progress: Progress = lambda: None) -> Outcome:
    """Hold every model against the lock; where there is none, write it, unless this is a CI.

    Raises:
        OutputError: the lock cannot be written.
    """
    name = policy.lock.name
    measured = measure(policy, policy.models, progress)
    try:
        known = lock.read(policy.lock)
    except LockError as error:
        return Outcome(policy, name, tuple(_unread(each, str(error)) for each in measured), str(error))
    if known is not None:
        return Outcome(policy, name, _judged(measured, known))
    models = _judged(measured, Lock())
    if ci:
        return Outcome(
            policy, name, models, f"there is no {name}: run 'mbanalyze guard update' and commit it"
        )
    if any(each.facts is None for each in measured):
        return Outcome(policy, name, models)
    with lock.held(policy.lock):
        lock.save(policy.lock, _lock_of(measured))
    return Outcome(policy, name, models, written=True)


def update(policy: Policy, names: Sequence[str] = (), progress: Progress = lambda: None) -> Outcome:
    """Write what the models cost into the lock: all of them, or these; none where one could not be measured.

    Raises:
        PolicyError: the policy has no such model.
        LockError: the lock is newer, or only some of it is to be written and the rest cannot be read.
        OutputError: the lock cannot be written.
    """
    _check_names(policy, names)
    measured = measure(policy, names or policy.models, progress)
    with lock.held(policy.lock):
        known = _readable(policy, whole=not names)
        models = _judged(measured, known, whole=not names)
        failed = any(each.facts is None for each in measured)
        if not failed:
            kept = {name: facts for name, facts in known.models.items() if names and name in policy.models}
            lock.save(policy.lock, Lock(kept | dict(_lock_of(measured).models)))
    return Outcome(policy, policy.lock.name, models, written=not failed)


def diff(policy: Policy, ref: str, progress: Progress = lambda: None) -> Outcome:
    """Hold every model against what it costs at a git ref, or where this branch left it.

    Raises:
        HistoryError: there is no such ref, or what is there cannot be measured.
    """
    base = history.measure_at(policy, ref)
    measured = measure(policy, policy.models, progress)
    models = tuple(_since(each, base) for each in measured)
    lost = [
        Judged(name, "gone", 0, (), f"{base.name} has it, the policy has not", None, facts)
        for name, facts in base.lock.models.items()
        if name not in policy.models
    ]
    return Outcome(policy, base.name, (*models, *lost), base=ref)


def in_ci() -> bool:
    """Whether this is a CI, as most of them say in the environment."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def held_against(policy: Policy, base: str | None, names: Sequence[str] = ()) -> list[Judged]:
    """The models that fail against the lock or a git ref; or these, whether they fail or not.

    Raises:
        PolicyError: there is no such model.
        HistoryError: as `diff`.
    """
    _check_names(policy, names)
    outcome = check(policy, ci=True) if base is None else diff(policy, base)
    return [judged for judged in outcome.models if judged.name in names or (judged.exit and not names)]


def _check_names(policy: Policy, names: Sequence[str]) -> None:
    for name in names:
        if name not in policy.models:
            raise PolicyError(f"{policy.path} has no model {name!r}, only {', '.join(policy.models)}")


def _config(policy: Policy) -> list[str]:
    """What tells the command line of a policy that it would not find here."""
    with suppress(PolicyError):
        if find(Path.cwd()).samefile(policy.path):
            return []
    return ["--config", os.path.relpath(policy.path)]


def _report_command(judged: Judged) -> str:
    """How to see why a model cannot be measured."""
    model = judged.measured.model if judged.measured else None
    if model is None:
        return "mbanalyze guard"
    options = [f"--set={name}={value}" for name, value in model.options.items()]
    inputs = [f"--input={text}" for text in model.inputs]
    return shlex.join(["mbanalyze", "report", model.source, *options, *inputs])


def _since(measured: Measured, base: history.Base) -> Judged:
    """What became of a model since a commit that may not have had it."""
    name = measured.model.name
    if name in base.failed:
        return Judged(name, "could not measure", 2, (), f"at {base.name}: {base.failed[name]}", measured)
    judged = judge(measured, base.lock)
    if judged.verdict != "missing from lock":
        return replace(judged, stale=False, exit=0) if judged.stale else judged
    new = f"new since {base.name}"
    if judged.failing:
        return Judged(name, "over budget", 1, judged.changes, new, measured)
    return Judged(name, "ok", 0, judged.changes, new, measured)


def _judged(measured: Sequence[Measured], known: Lock, *, whole: bool = True) -> tuple[Judged, ...]:
    names = {each.model.name for each in measured}
    lost = [gone(name, facts) for name, facts in known.models.items() if whole and name not in names]
    return (*(judge(each, known) for each in measured), *lost)


def _unread(measured: Measured, problem: str) -> Judged:
    if measured.facts is None:
        return Judged(measured.model.name, "could not measure", 2, (), measured.reason, measured)
    return Judged(measured.model.name, "not comparable", 2, (), problem, measured)


def _lock_of(measured: Sequence[Measured]) -> Lock:
    return Lock({each.model.name: each.facts for each in measured if each.facts is not None})


def _readable(policy: Policy, *, whole: bool) -> Lock:
    """The lock, or an empty one where it is to be written as a whole."""
    try:
        known = lock.read(policy.lock) or Lock()
    except lock.NewerLockError:
        raise
    except LockError:
        if whole:
            return Lock()
        raise
    if not whole and not known.is_ours and known.models:
        raise LockError(
            f"{policy.lock.name} was written by mbanalyze {known.version}: update all of it, 'mbanalyze guard update'"
        )
    return known
