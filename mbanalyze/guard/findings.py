"""Findings: an outcome as annotations of source lines, as CI systems show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mbanalyze.guard.changes import Change, CountChange, LayerId, most_severe
from mbanalyze.guard.limits import LOCKED_METRICS
from mbanalyze.guard.memory_peaks import Peak
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy
from mbanalyze.guard.source_location import SourceLocation, layer_location, policy_location, repository_root

FindingLevel = Literal["error", "warning", "note"]
FINDING_LEVELS: tuple[FindingLevel, ...] = get_args(FindingLevel)
UNUSABLE_LOCK = "unusable lock"
"""The rule of a finding about a lock that cannot be compared."""
INCOMPLETE_LOCK = "incomplete lock"
"""The rule of a finding about a lock that an earlier version wrote, without some totals."""
WITHOUT_COMPARISON = ("missing from lock", "gone", "not comparable", "could not measure")
"""Verdicts that rest on no comparison: of these models, only budgets are reported."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A message about one line of the source, for one model.

    Attributes:
        level: `error` fails the check, `warning` exceeds a limit of level `warn`, `note` informs.
        rule: most severe verdict of the changes, `UNUSABLE_LOCK` or `INCOMPLETE_LOCK`.
        location: class of the changed layers, or line of the policy that defines the model.
        result: result of the model; None if the finding is about the lock.
        changes: changes of the layers from that line, or of the whole model; empty if the verdict rests on none.
    """

    level: FindingLevel
    rule: str
    location: SourceLocation
    result: ModelResult | None
    changes: tuple[Change, ...] = ()


def findings(outcome: Outcome) -> list[Finding]:
    """Return the findings of an outcome, one for each model and line, the most severe first.

    Findings of one level take turns by model, so that the first few name every model.
    """
    ranked = [each for result in outcome.models for each in enumerate(_of_model(result, outcome))]
    if outcome.problem:
        ranked.insert(0, (0, Finding("error", UNUSABLE_LOCK, _lock_location(outcome.policy), None)))
    if outcome.incomplete:
        ranked.append((0, Finding("note", INCOMPLETE_LOCK, _lock_location(outcome.policy), None)))
    ranked.sort(key=lambda each: (FINDING_LEVELS.index(each[1].level), each[0]))
    return [finding for _, finding in ranked]


def _of_model(result: ModelResult, outcome: Outcome) -> Iterator[Finding]:
    location = policy_location(outcome.policy, result.name)
    level: FindingLevel = "error" if result.exit_code else "note"
    compared = result.verdict not in WITHOUT_COMPARISON
    if not compared and (result.verdict == "could not measure" or not outcome.problem):
        yield Finding(level, result.verdict, location, result)
    grown = [change for change in result.changes if change.verdict == "over budget" or compared]
    failing = [change for change in grown if change.fails]
    yield from _of_changes("error", failing, result, outcome.policy)
    warned = [change for change in grown if change.verdict in ("worse", "over budget") and not change.fails]
    yield from _of_changes("warning", warned, result, outcome.policy)
    if result.stale:
        shrunk = tuple(change for change in result.changes if change.verdict in ("better", "renamed"))
        yield Finding(level, most_severe(shrunk), location, result, shrunk)


def _of_changes(
    level: FindingLevel, changes: Sequence[Change], result: ModelResult, policy: Policy
) -> Iterator[Finding]:
    """A finding for each line, the largest growth first.

    Changes of the whole model are left out if layers can account for them.
    """
    of_layers = [change for change in changes if change.layer]
    of_model = [c for c in changes if not c.layer and not (of_layers and _is_sum(c))]
    at: dict[SourceLocation, list[Change]] = {}
    for change in (*of_layers, *of_model):
        at.setdefault(_location(change, result, policy), []).append(change)
    for location, some in sorted(at.items(), key=lambda item: -_largest_growth(item[1])):
        yield Finding(level, most_severe(some), location, result, tuple(some))


def _location(change: Change, result: ModelResult, policy: Policy) -> SourceLocation:
    """The source line of the layer that changed, or at a peak that grew; else the line of the policy."""
    layer: LayerId | Peak | None = change.layer
    if isinstance(change, CountChange) and change.verdict != "over budget":
        layer = layer or change.peak_after
    if layer is None or result.measured is None:
        return policy_location(policy, result.name)
    return layer_location(result.measured.locations, layer.path, policy, result.name)


def _is_sum(change: Change) -> bool:
    """True for a change of a total that is the sum of its layers, unless it is above its budget."""
    return (
        change.verdict != "over budget"
        and isinstance(change, CountChange)
        and change.metric in LOCKED_METRICS
    )


def _lock_location(policy: Policy) -> SourceLocation:
    """The first line of the lock, or of the policy if the repository does not contain the lock."""
    lock, root = policy.lock.resolve(), repository_root(policy)
    if lock.is_file() and lock.is_relative_to(root):
        return SourceLocation(lock.relative_to(root).as_posix(), 1, lock.name)
    return policy_location(policy, "")


def by_layer(changes: Sequence[Change]) -> list[tuple[Change, ...]]:
    """Return the changes of each layer, and those of the whole model, the largest growth first."""
    layers: dict[LayerId | None, list[Change]] = {}
    for change in changes:
        layers.setdefault(change.layer, []).append(change)
    return sorted(map(tuple, layers.values()), key=lambda some: -_largest_growth(some))


def _largest_growth(changes: Sequence[Change]) -> int:
    return max(abs(change.growth) for change in changes)
