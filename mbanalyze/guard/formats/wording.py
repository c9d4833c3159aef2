"""What became of guarded models in words: a count, a change, a verdict, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mbanalyze.display.records import one_line
from mbanalyze.display.units import si, si_bytes
from mbanalyze.guard.findings import by_layer
from mbanalyze.guard.judging import TOTAL, Change, Judged
from mbanalyze.guard.outcome import Outcome


def count(value: Any, metric: str, *others: Any) -> str:
    """A count as people read it; exactly where that is what tells it from one of `others`."""
    if not isinstance(value, int | float):
        return "?" if value is None else one_line(str(value))
    short = _short(value, metric)
    alike = any(other != value and other is not None and _short(other, metric) == short for other in others)
    return f"{value:,}" if alike else short


def _short(value: Any, metric: str) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return si_bytes(value) if metric.endswith("_bytes") else si(value)


def signed(change: Change) -> str:
    """By how much a count changed, and of what it was: '+100.0 k (+8.1 %)'."""
    if not isinstance(change.before, int) or not isinstance(change.after, int):
        return ""
    return f"{sign(change)}{_percent(change.growth, change.before)}"


def _percent(growth: int, before: int) -> str:
    """' (+8.1 %)', with more digits where one would hide it; nothing of nothing."""
    if not before:
        return ""
    percent = 100 * growth / before
    return f" ({percent:+.1f} %)" if abs(percent) >= 0.05 else f" ({percent:+.1g} %)"


def phrase(change: Change) -> str:
    """A change in words: 'macs 1.234 M -> 1.334 M (+8.1 %), at most 1.234 M'."""
    metric = change.metric.replace("_", " ")
    if change.verdict == "renamed":
        return f"{one_line(str(change.before))} is called {one_line(str(change.after))}"
    after = count(change.after, change.metric, change.before, change.limit)
    if change.verdict == "over budget":
        return f"{metric} {after}, over the budget of {count(change.limit, change.metric, change.after)}"
    before = count(change.before, change.metric, change.after, change.limit)
    return f"{metric} {before} -> {after}, {signed(change)}".rstrip(", ")


def name_of(change: Change) -> str:
    """What a change is about, for people: the whole model, or a layer."""
    return TOTAL if change.kind == TOTAL else label(change.path) or "(model)"


def label(name: str) -> str:
    """A name on one line that is no command to a CI which reads what is printed, as GitHub's runner does."""
    shown = one_line(name).replace("##[", "##\\x5b")
    return f"'{shown}'" if shown.lstrip().startswith("::") else shown


def headline(judged: Judged) -> str:
    """A model's verdict in one line, without its name: 'worse: macs 1.2 M -> 1.3 M, +100 k (+8.1 %)'."""
    if judged.reason:
        return f"{judged.verdict}: {one_line(judged.reason)}"
    told = _foremost(judged)
    stale = "; the lock is out of date" if judged.stale else ""
    about = f": {phrase(told)}" if told else ""
    where = f" in {name_of(told)}" if told and told.kind != TOTAL and told.metric != "path" else ""
    return f"{judged.verdict}{about}{where}{stale}"


def _foremost(judged: Judged) -> Change | None:
    """The change that says most: one of the verdict, before one that fails and others; the total's before a layer's."""
    decisive = [change for change in judged.failing if change.verdict == judged.verdict]
    for some in (decisive, judged.failing, judged.changes):
        for metric in ("macs", "params", "memory_access", "flops", "activations", ""):
            for change in some:
                if change.metric == metric or not metric:
                    return change
    return None


def sign(change: Change) -> str:
    """By how much a count changed: '+100.0 k'."""
    return f"{'+' if change.growth > 0 else ''}{_short(change.growth, change.metric)}"


def verdicts(outcome: Outcome) -> str:
    """How many models have which verdict: '2 ok, 1 worse'."""
    found: dict[str, int] = {}
    for judged in outcome.models:
        found[judged.verdict] = found.get(judged.verdict, 0) + 1
    return ", ".join(f"{number} {verdict}" for verdict, number in found.items())


def advice(outcome: Outcome) -> list[str]:
    """What to do, the command last; nothing where all is fine."""
    return [one_line(line) for line in outcome.advice if line]


def lines_of(changes: Sequence[Change], top: int) -> list[str]:
    """A line for each layer, the largest growth first, 'blocks.0.dw: params +16 (+11.1 %)'; `top` of them."""
    layers = by_layer(changes)
    lines = [f"{name_of(some[0])}: {', '.join(map(brief, some))}" for some in layers[:top]]
    return [*lines, f"({len(layers) - top} more layers)"] if len(layers) > top else lines


def brief(change: Change) -> str:
    """A change by how much it is: 'macs +100.0 k (+8.1 %)', or in full where that does not say it."""
    if change.verdict in ("over budget", "renamed") or not signed(change):
        return phrase(change)
    return f"{change.metric.replace('_', ' ')} {signed(change)}"
