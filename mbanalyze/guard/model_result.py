"""The verdict on a guarded model: its measurement compared with the lock and with its budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

from mbanalyze._version import __version__
from mbanalyze.guard.changes import Change, differences, most_severe, over_budget, unknown_budgets
from mbanalyze.guard.counting import MeasuredModel
from mbanalyze.guard.limits import GROWTH_METRICS
from mbanalyze.guard.lock import Lock
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.policy import GuardedModel
from mbanalyze.report.network import CONVENTION

ModelVerdict = Literal[
    "ok", "better", "worse", "over budget", "missing from lock", "gone", "not comparable", "could not measure"
]
MODEL_VERDICTS: tuple[ModelVerdict, ...] = get_args(ModelVerdict)
"""Verdicts on a model, from the least to the most severe."""


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The result of the check of one model.

    Attributes:
        name: name of the model.
        verdict: most severe verdict.
        exit_code: 0, 1 or 2.
        changes: changes of the whole model, then of each layer.
        reason: reason for the verdict if it does not rest on changes.
        measured: measured model; None if the policy does not name it.
        before: accepted measurement; None if there is none.
        stale: True if the lock is outdated although no count grew.
    """

    name: str
    verdict: ModelVerdict
    exit_code: int
    changes: tuple[Change, ...] = ()
    reason: str = ""
    measured: MeasuredModel | None = None
    before: Measurement | None = None
    stale: bool = False

    @property
    def failing(self) -> tuple[Change, ...]:
        """The changes that fail the check."""
        return tuple(change for change in self.changes if change.fails)

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """The totals that the accepted measurement lacks, because an earlier version of mbanalyze made it."""
        if self.before is None or self.measured is None:
            return ()
        return tuple(metric for metric in GROWTH_METRICS if metric not in self.before.totals)


def evaluate(measured: MeasuredModel, lock: Lock) -> ModelResult:
    """Compare a model with a lock and with its budgets."""
    model, after = measured.model, measured.measurement
    before = lock.models.get(model.name)
    if after is None:
        return ModelResult(model.name, "could not measure", 2, (), measured.reason, measured, before)
    exceeded = over_budget(model, after)
    unenforceable = _unmatched_patterns(model, after) or unknown_budgets(model, after)
    if unenforceable:
        return ModelResult(model.name, "could not measure", 2, exceeded, unenforceable, measured, before)
    if before is None:
        return ModelResult(model.name, "missing from lock", 1, exceeded, "", measured)
    changes = (*exceeded, *differences(model, before, after))
    incomparable = _differing_conditions(before, after) or _other_counter(lock, changes)
    if incomparable:
        return ModelResult(model.name, "not comparable", 2, changes, incomparable, measured, before)
    return _from_changes(measured, before, changes)


def missing_from_policy(name: str, before: Measurement, base: str = "the lock") -> ModelResult:
    """Return the failing result of a model that `base` has, but that the policy does not name."""
    return ModelResult(name, "gone", 1, (), f"{base} has this model, the policy does not", None, before)


def _from_changes(measured: MeasuredModel, before: Measurement, changes: tuple[Change, ...]) -> ModelResult:
    severest = most_severe(changes)
    verdict: ModelVerdict = "ok" if severest == "renamed" else severest
    fails = any(change.fails for change in changes)
    stale = not fails and any(change.verdict in ("better", "renamed") for change in changes)
    code = int(fails or (stale and measured.model.strict))
    return ModelResult(measured.model.name, verdict, code, changes, "", measured, before, stale)


def _unmatched_patterns(model: GuardedModel, measured: Measurement) -> str:
    """A message about patterns that apply to no layer, also because earlier patterns match first; "" if none."""
    patterns = [pattern for pattern, _ in model.layers]
    firsts = {next((p for p in patterns if fnmatchcase(layer.path, p)), None) for layer in measured.layers}
    unmatched = [repr(pattern) for pattern in patterns if pattern not in firsts]
    if not unmatched:
        return ""
    return f"no layer is left for {', '.join(unmatched)}: change the pattern, move it up, or remove it"


def _differing_conditions(before: Measurement, after: Measurement) -> str:
    """A message about conditions that differ; "" if all are the same."""
    pairs = [(name, old, after.conditions[name]) for name, old in before.conditions.items()]
    return "; ".join(
        f"{name} was {old or 'none'}, is {new or 'none'}" for name, old, new in pairs if old != new
    )


def _other_counter(lock: Lock, changes: Sequence[Change]) -> str:
    """A message if another convention counted, or another version that may explain the changes; "" otherwise."""
    if lock.convention != CONVENTION:
        return f"convention was {lock.convention}, is {CONVENTION}"
    if lock.version != __version__ and any(change.verdict != "over budget" for change in changes):
        return f"mbanalyze {lock.version} wrote the lock; version {__version__} may count differently"
    return ""
