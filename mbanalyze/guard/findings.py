"""What is to be said of which line of the source: an outcome as the annotations of a CI take it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from mbanalyze.guard.judging import TOTAL, Change, Judged, gravest
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.places import Place, definition, places_of, top_of
from mbanalyze.guard.policy import Policy

Grade = Literal["error", "warning", "note"]
GRADES: tuple[Grade, ...] = get_args(Grade)
UNUSABLE = "unusable lock"
"""The rule of a finding that is about the lock itself."""
UNCOMPARED = ("missing from lock", "gone", "not comparable", "could not measure")
"""Verdicts that rest on no change: of these models only budgets can be told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said about one line of the source, of one model.

    Attributes:
        grade: `error` is what fails, `warning` what a rule only warns of, `note` what merely is so.
        rule: the gravest verdict here, or `UNUSABLE`.
        place: the class of the layers that changed, or where the policy defines the model.
        judged: the model; None where it is about the lock.
        changes: of the layers from there, or of the whole model; none where the verdict rests on none.
    """

    grade: Grade
    rule: str
    place: Place
    judged: Judged | None
    changes: tuple[Change, ...] = ()


def findings(outcome: Outcome) -> list[Finding]:
    """What is to be said, one for each model and line, the gravest first; nothing of what is fine."""
    found = [finding for judged in outcome.models for finding in _of_model(judged, outcome)]
    if outcome.problem:
        found.insert(0, Finding("error", UNUSABLE, _lock_of(outcome.policy), None))
    return sorted(found, key=lambda finding: GRADES.index(finding.grade))


def _of_model(judged: Judged, outcome: Outcome) -> Iterator[Finding]:
    place = definition(outcome.policy, judged.name)
    compared = judged.verdict not in UNCOMPARED
    if not compared and (judged.verdict == "could not measure" or not outcome.problem):
        yield Finding("error" if judged.exit else "note", judged.verdict, place, judged)
    grown = [change for change in judged.changes if change.verdict == "over budget" or compared]
    failing = [change for change in grown if change.fails]
    yield from _of_changes("error", failing, judged, outcome.policy)
    warned = [change for change in grown if change.verdict in ("worse", "over budget") and not change.fails]
    yield from _of_changes("warning", warned, judged, outcome.policy)
    if judged.stale:
        shrunk = tuple(change for change in judged.changes if change.verdict in ("better", "renamed"))
        yield Finding("error" if judged.exit else "note", gravest(shrunk), place, judged, shrunk)


def _of_changes(grade: Grade, changes: Sequence[Change], judged: Judged, policy: Policy) -> Iterator[Finding]:
    """Each line with the changes of the layers from there; the whole model's where no layer says as much."""
    layers = [change for change in changes if change.kind != TOTAL]
    whole = [c for c in changes if c.kind == TOTAL and (c.verdict == "over budget" or not layers)]
    at: dict[Place, list[Change]] = {}
    if layers and judged.measured is not None:
        places = places_of(judged.measured, policy, {change.path for change in layers})
        for change in layers:
            at.setdefault(places[change.path], []).append(change)
    if whole:
        at.setdefault(definition(policy, judged.name), []).extend(whole)
    for place, some in at.items():
        yield Finding(grade, gravest(some), place, judged, tuple(some))


def _lock_of(policy: Policy) -> Place:
    """Where the lock is; where the policy is, if there is no lock or it is outside the repository."""
    lock, top = policy.lock.resolve(), top_of(policy)
    if lock.is_file() and lock.is_relative_to(top):
        return Place(lock.relative_to(top).as_posix(), 1, lock.name)
    return definition(policy, "")


def by_layer(changes: Sequence[Change]) -> list[tuple[Change, ...]]:
    """The changes of each layer together, and those of the whole model; the largest growth first."""
    layers: dict[tuple[bool, str], list[Change]] = {}
    for change in changes:
        layers.setdefault((change.kind == TOTAL, change.path), []).append(change)
    return sorted(map(tuple, layers.values()), key=lambda some: -max(abs(change.growth) for change in some))
