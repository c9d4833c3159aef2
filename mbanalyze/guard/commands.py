"""The guard: what models may cost is policy, what they cost is in a lock, and what became of them is a verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from mbanalyze.guard import git_base as history
from mbanalyze.guard import lock
from mbanalyze.guard.judging import Judged, gone, judge
from mbanalyze.guard.lock import DamagedLockError, Lock, LockError
from mbanalyze.guard.measuring import Measured, measure
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy, PolicyError

Progress = Callable[[], None]


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
