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
from mbanalyze.guard.lock import DamagedLockError, Lock, LockError
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
        remedy: the command that mends that; "" where none does.
        written: whether the lock was written.
        base: the git ref that the models are held against; None where that is the lock.
    """

    policy: Policy
    against: str
    models: tuple[Judged, ...]
    problem: str = ""
    remedy: str = ""
    written: bool = False
    base: str | None = None

    @property
    def exit(self) -> int:
        """0 fine; 1 a model costs too much, or the lock is not that of these models; 2 it could not be found out."""
        return max([2 if self.problem else 0, *(judged.exit for judged in self.models)])

    @property
    def advice(self) -> tuple[str, str]:
        """What to do in words, and the command that does it; "" twice where all is fine."""
        failing = [judged for judged in self.models if judged.exit]
        found = {judged.verdict for judged in failing}
        config = _config(self.policy)
        guard = ["mbanalyze", "guard"]
        update = f"if that is meant: update {self.policy.lock.name}, review and commit it"
        if self.written:
            what = f"{self.policy.lock.name} was written: review and commit it"
            return what, shlex.join(["git", "add", os.path.relpath(self.policy.lock)])
        if self.problem:
            return ("that is mended by", self.remedy) if self.remedy else ("", "")
        if not failing:
            return "", ""
        for verdict, what in (
            ("could not measure", "to see why it cannot be measured"),
            ("over budget", "to see which layers, and what would fit"),
        ):
            if verdict in found or (self.base and verdict == "over budget"):
                since = ["--base", self.base] if self.base else []
                names = _names([j for j in failing if j.verdict == verdict] or failing)
                return what, shlex.join([*guard, "explain", *config, *since, *names])
        whole = len(failing) == len(self.models) or found & {"gone", "not comparable"}
        return update, shlex.join([*guard, "update", *config, *([] if whole else _names(failing))])

    def __repr__(self) -> str:
        from mbanalyze.render.guard import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from mbanalyze.render.guard import html

        return html(self)


def _names(models: Sequence[Judged]) -> list[str]:
    """The models as arguments of a command; none, which is all, where a name does not fit on its line."""
    names = [judged.name for judged in models]
    if not all(map(str.isprintable, names)):
        return []
    return ["--", *names] if any(name.startswith("-") for name in names) else names


def check(policy: Policy, *, ci: bool = False, progress: Progress = lambda: None) -> Outcome:
    """Hold every model against the lock; where there is none, write it, unless this is a CI.

    Raises:
        LockError, OutputError: the lock cannot be written.
    """
    name = policy.lock.name
    measured = measure(policy, policy.models, progress)
    try:
        known = lock.read(policy.lock)
    except LockError as error:
        models = tuple(_unread(each, str(error)) for each in measured)
        return Outcome(policy, name, models, str(error), error.remedy)
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

    The outcome says what changed, and that it is accepted: its exit code is 0 unless nothing was written.

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
        if failed:
            return Outcome(policy, policy.lock.name, models)
        kept = known.models if names else {}
        lock.save(policy.lock, Lock({**kept, **_lock_of(measured).models}))
    accepted = tuple(replace(judged, exit=0, stale=False) for judged in models)
    return Outcome(policy, policy.lock.name, accepted, written=True)


def diff(policy: Policy, ref: str, progress: Progress = lambda: None) -> Outcome:
    """Hold every model against what it costs at a git ref, or where this branch left it.

    Raises:
        HistoryError: there is no such ref, or what is there cannot be measured.
    """
    base = history.measure_at(policy, ref)
    renamed = _renamed(policy, base)
    now = measure(policy, policy.models, progress)
    models = tuple(_since(each, base, renamed.get(each.model.name)) for each in now)
    lost = [
        Judged(name, "gone", 0, (), f"{base.name} has it, the policy has not", None, facts)
        for name, facts in base.lock.models.items()
        if name not in policy.models and name not in renamed.values()
    ]
    return Outcome(policy, base.name, (*models, *lost), base=ref)


def _renamed(policy: Policy, base: history.Base) -> dict[str, str]:
    """Models that are new by name, each with the one that is gone and had its source, if that is the only one."""
    gone = {name: facts for name, facts in base.lock.models.items() if name not in policy.models}
    found = {}
    for name, model in policy.models.items():
        same = [old for old, facts in gone.items() if facts.source == model.source]
        if name not in base.lock.models and len(same) == 1:
            found[name] = same[0]
    return found


def in_ci() -> bool:
    """Whether this is a CI, as most of them say in the environment."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def held_against(policy: Policy, base: str | None, names: Sequence[str] = ()) -> Outcome:
    """What became of the models that fail against the lock or a git ref; or of these, whether they fail or not.

    Raises:
        PolicyError: there is no such model.
        HistoryError: as `diff`.
    """
    _check_names(policy, names)
    outcome = check(policy, ci=True) if base is None else diff(policy, base)
    models = [judged for judged in outcome.models if judged.name in names or (judged.exit and not names)]
    return replace(outcome, models=tuple(models))


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


def _since(measured: Measured, base: history.Base, old: str | None) -> Judged:
    """What became of a model since a commit that may not have had it, or had it as `old`."""
    name = measured.model.name
    if base.failed.get(name):
        return Judged(name, "could not measure", 2, (), f"at {base.name}: {base.failed[name]}", measured)
    then = replace(base.lock, models={**base.lock.models, name: base.lock.models[old]}) if old else base.lock
    judged = judge(measured, then)
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
    except DamagedLockError:
        if whole:
            return Lock()
        raise
    if not whole and not known.is_ours and known.models:
        raise LockError(
            f"{policy.lock.name} was written by mbanalyze {known.version}: update all of it, 'mbanalyze guard update'"
        )
    return known
