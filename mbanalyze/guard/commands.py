"""The guard commands: `check`, `update`, `diff` and `explain`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from mbanalyze.guard import git_base, lock
from mbanalyze.guard.counting import MeasuredModel
from mbanalyze.guard.explanation import Explanations, explain_results
from mbanalyze.guard.git_base import GitBase
from mbanalyze.guard.lock import DamagedLockError, Lock, LockError
from mbanalyze.guard.model_result import ModelResult, ModelVerdict, evaluate, missing_from_policy
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy, PolicyError
from mbanalyze.guard.runner import Progress, measure, measurements, no_progress


def check(policy: Policy, *, ci: bool = False, progress: Progress = no_progress) -> Outcome:
    """Compare every model with its budgets and with the lock.

    If there is no lock, the function writes it, unless `ci` is true or a model could not be measured.

    Args:
        policy: policy of the project.
        ci: True to write nothing.
        progress: callback for the fraction of the models that are measured.

    Raises:
        OutputError: the lock cannot be written.
    """
    name = policy.lock.name
    measured = measure(policy, policy.models, progress)
    try:
        known = lock.read(policy.lock)
    except LockError as error:
        models = tuple(_without_lock(each, str(error)) for each in measured)
        return Outcome(policy, name, models, str(error), error.fix)
    if known is not None:
        return Outcome(policy, name, _evaluate_all(measured, known))
    models = _evaluate_all(measured, Lock())
    if ci:
        return Outcome(policy, name, models, f"there is no {name}: run '{lock.UPDATE_COMMAND}' and commit it")
    if _unmeasured(models):
        return Outcome(policy, name, models, remark=_unwritten(policy))
    with lock.exclusive(policy.lock):
        lock.save(policy.lock, Lock(measurements(measured)))
    return Outcome(policy, name, models, written=True)


def update(policy: Policy, names: Sequence[str] = (), progress: Progress = no_progress) -> Outcome:
    """Write the costs of models into the lock; write nothing if one of them could not be measured.

    The outcome lists the changes. They are accepted, so its exit code is 0 if the lock was written.

    Args:
        policy: policy of the project.
        names: models to update; all by default.
        progress: callback for the fraction of the models that are measured.

    Raises:
        PolicyError: the policy has no model of that name.
        LockError: the lock is newer than this version, or unreadable in a partial update.
        OutputError: the lock cannot be written.
    """
    _require_models(policy, names)
    measured = measure(policy, names or policy.models, progress)
    with lock.exclusive(policy.lock):
        known = _lock_to_update(policy, whole=not names)
        models = _evaluate_all(measured, known, whole=not names)
        if _unmeasured(models):
            return Outcome(policy, policy.lock.name, models, remark=_unwritten(policy))
        kept = known.models if names else {}
        lock.save(policy.lock, Lock({**kept, **measurements(measured)}))
    accepted = tuple(replace(result, exit_code=0, stale=False) for result in models)
    return Outcome(policy, policy.lock.name, accepted, written=True)


def diff(policy: Policy, base: str, progress: Progress = no_progress) -> Outcome:
    """Compare every model with its cost at the commit where the current branch left a git ref.

    Args:
        policy: policy of the project.
        base: git ref: a branch, tag or commit.
        progress: callback for the fraction of the models that are measured.

    Raises:
        GitError: the ref does not exist, or its models cannot be measured.
    """
    then = git_base.measure_at(policy, base)
    renamed = _renamed_models(policy, then)
    measured = measure(policy, policy.models, progress)
    models = [_evaluate_since(each, then, renamed.get(each.model.name)) for each in measured]
    models += [
        replace(missing_from_policy(name, measurement, then.name), exit_code=0)
        for name, measurement in then.lock.models.items()
        if name not in policy.models and name not in renamed.values()
    ]
    return Outcome(policy, then.name, tuple(models), base=base)


def explain(
    policy: Policy, models: Sequence[str] = (), base: str | None = None, progress: Progress = no_progress
) -> Explanations:
    """Explain the cost of models: layers, source lines, and options that would fit the limits.

    Args:
        policy: policy of the project.
        models: models to explain; by default those that fail.
        base: git ref to compare with instead of the lock.
        progress: callback for the fraction of the models that are measured.

    Raises:
        PolicyError: the policy has no model of that name.
        GitError: the ref does not exist, or its models cannot be measured.
    """
    _require_models(policy, models)
    outcome = check(policy, ci=True, progress=progress) if base is None else diff(policy, base, progress)
    chosen = tuple(each for each in outcome.models if each.name in models or (each.exit_code and not models))
    return Explanations(replace(outcome, models=chosen), explain_results(chosen, policy))


def in_ci() -> bool:
    """Return True if the environment variable CI is set, as most CI systems do."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def _require_models(policy: Policy, names: Sequence[str]) -> None:
    for name in names:
        if name not in policy.models:
            raise PolicyError(f"{policy.path} has no model {name!r}, only {', '.join(policy.models)}")


def _renamed_models(policy: Policy, base: GitBase) -> dict[str, str]:
    """Old names by new names: the two have the same source, and no other lost model has it."""
    lost = {name: each for name, each in base.lock.models.items() if name not in policy.models}
    found = {}
    for name, model in policy.models.items():
        same = [old for old, measurement in lost.items() if measurement.source == model.source]
        if name not in base.lock.models and len(same) == 1:
            found[name] = same[0]
    return found


def _evaluate_since(measured: MeasuredModel, base: GitBase, old_name: str | None) -> ModelResult:
    """The result of a model against a commit, which may lack the model or have it under another name."""
    name = measured.model.name
    if name in base.failed:
        reason = f"at {base.name}: {base.failed[name]}"
        return ModelResult(name, "could not measure", 2, (), reason, measured)
    accepted = base.lock.models
    renamed = {name: accepted[old_name]} if old_name else {}
    result = evaluate(measured, replace(base.lock, models={**accepted, **renamed}))
    if result.verdict != "missing from lock":
        return replace(result, stale=False, exit_code=0) if result.stale else result
    verdict: ModelVerdict = "over budget" if result.failing else "ok"
    return replace(
        result, verdict=verdict, exit_code=int(bool(result.failing)), reason=f"new since {base.name}"
    )


def _evaluate_all(
    measured: Sequence[MeasuredModel], known: Lock, *, whole: bool = True
) -> tuple[ModelResult, ...]:
    names = {each.model.name for each in measured}
    lost = [missing_from_policy(n, each) for n, each in known.models.items() if whole and n not in names]
    return (*(evaluate(each, known) for each in measured), *lost)


def _unmeasured(models: Sequence[ModelResult]) -> bool:
    """True if a model could not be measured, or has a rule without effect."""
    return any(each.verdict == "could not measure" for each in models)


def _unwritten(policy: Policy) -> str:
    return f"{policy.lock.name} was not written, because a model could not be measured"


def _without_lock(measured: MeasuredModel, problem: str) -> ModelResult:
    verdict: ModelVerdict = "not comparable" if measured.measurement else "could not measure"
    return ModelResult(measured.model.name, verdict, 2, (), measured.reason or problem, measured)


def _lock_to_update(policy: Policy, *, whole: bool) -> Lock:
    """The current lock; an empty one if an update of all models replaces a damaged lock."""
    try:
        known = lock.read(policy.lock) or Lock()
    except DamagedLockError:
        if whole:
            return Lock()
        raise
    if not whole and not known.is_current and known.models:
        fix = f"update all of its models with '{lock.UPDATE_COMMAND}'"
        raise LockError(f"mbanalyze {known.version} wrote {policy.lock.name}: {fix}")
    return known
