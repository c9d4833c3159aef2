"""The wording of an outcome: counts, changes, verdicts and advice as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mbanalyze.display.records import one_line
from mbanalyze.display.units import si, si_bytes, significant
from mbanalyze.display.views import Cell
from mbanalyze.guard.changes import Change, CountChange, Rename
from mbanalyze.guard.findings import by_layer
from mbanalyze.guard.headroom import Headroom, headroom_of
from mbanalyze.guard.limits import LOCKED_METRICS, LOCKED_PEAKS, is_bytes
from mbanalyze.guard.memory_peaks import Peak
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome

ACCEPTED = "accepted"
"""The verdict on a change after an update."""
AFTER_UPDATE = {"missing from lock": "recorded", "gone": "removed", "not comparable": ACCEPTED}
"""The verdicts on a model that an update, or the first run, changes to another word."""


def format_count(value: Any, metric: str, *others: Any) -> str:
    """Return a count with a unit; in full if the short form does not distinguish it from one of `others`."""
    if value is None:
        return "?"
    short = _short(value, metric)
    alike = any(other is not None and other != value and _short(other, metric) == short for other in others)
    return f"{value:,}" if alike else short


def _short(value: Any, metric: str) -> str:
    if isinstance(value, float):
        return significant(value)
    return si_bytes(value) if is_bytes(metric) else si(value)


def count_cell(count: float | None, metric: str, *others: float | None) -> Cell:
    """Return a count as a cell, in full if the short form does not distinguish it from one of `others`."""
    if isinstance(count, float):
        return Cell(format_count(count, metric, *others), f"{count:,.7g}")
    return Cell(format_count(count, metric, *others), "?" if count is None else f"{count:,}")


def format_share(percent: float | None) -> str:
    """Return ' (38.5 %)'; "" if the percentage is unknown."""
    return "" if percent is None else f" ({percent:.1f} %)"


def format_growth(change: CountChange) -> str:
    """Return the growth of a count: '+100.0 k'."""
    return format_growth_of(change.growth, change.metric)


def format_growth_of(amount: float, metric: str) -> str:
    """Return an amount of growth of a metric with its sign: '+100.0 k'."""
    return f"{'+' if amount > 0 else ''}{_short(amount, metric)}"


def format_growth_and_percent(change: Change) -> str:
    """Return the growth of a count with its percentage: '+100.0 k (+8.1 %)'; "" if it is unknown."""
    if isinstance(change, Rename) or change.before is None or change.after is None:
        return ""
    return f"{format_growth(change)}{_percent(change.growth, change.before)}"


def _percent(growth: float, before: float) -> str:
    """' (+8.1 %)', or one significant digit if the rounded percentage is zero; "" if `before` is zero."""
    if not before:
        return ""
    percent = 100 * growth / before
    return f" ({percent:+.1f} %)" if abs(percent) >= 0.05 else f" ({percent:+.1g} %)"


def describe(change: Change) -> str:
    """Return a change in words: 'macs 1.234 M -> 1.334 M, +100.0 k (+8.1 %)'.

    Above a budget: 'macs 1.334 M, 134.0 k (11.2 %) over the budget of 1.200 M'. A peak of memory names its place.
    """
    if isinstance(change, Rename):
        return f"{label(change.before)} was renamed to {label(change.layer.path)}"
    metric = metric_label(change.metric)
    after = format_count(change.after, change.metric, change.before, change.limit)
    if change.verdict == "over budget":
        text = f"{metric} {after}, {_excess(change)} over the budget of {_limit(change)}"
        return _placed(text, change)
    before = format_count(change.before, change.metric, change.after, change.limit)
    text = f"{metric} {before} -> {after}, {format_growth_and_percent(change)}".rstrip(", ")
    return _placed(text, change)


def place(change: CountChange) -> str:
    """Return the operator at a peak of memory: 'stem (conv) instead of head (linear)'; "" for another count."""
    before, after = change.peak_before, change.peak_after
    if after is None:
        return ""
    moved = f" instead of {_operator(before)}" if before and before[:2] != after[:2] else ""
    return f"{_operator(after)}{moved}"


def _placed(text: str, change: CountChange) -> str:
    """A text about a change, with the place of a peak."""
    where = place(change)
    return f"{text}, at {where}" if where else text


def _operator(peak: Peak) -> str:
    return f"{label(peak.path) or '(model)'} ({label(peak.kind)})"


def _limit(change: CountChange) -> str:
    return format_count(change.limit, change.metric, change.after)


def _excess(change: CountChange) -> str:
    """The amount above the budget: '134.0 k (11.2 %)'."""
    assert change.after is not None
    assert change.limit is not None
    excess = change.after - change.limit
    return f"{_short(excess, change.metric)}{_percent(excess, change.limit)}".replace("+", "")


def describe_briefly(change: Change) -> str:
    """Return a change by its growth: 'macs +100.0 k (+8.1 %)', or 'macs 1.334 M > 1.200 M (budget)'.

    A rename, and a change of an unknown count, are described in full.
    """
    growth = format_growth_and_percent(change)
    if isinstance(change, CountChange) and change.verdict == "over budget":
        after = format_count(change.after, change.metric, change.limit)
        return _placed(f"{metric_label(change.metric)} {after} > {_limit(change)} (budget)", change)
    if isinstance(change, Rename) or not growth:
        return describe(change)
    return _placed(f"{metric_label(change.metric)} {growth}", change)


def describe_layers(changes: Sequence[Change], top: int) -> list[str]:
    """Return a line for each of `top` layers, the largest growth first: 'blocks.0.dw: params +16 (+11.1 %)'."""
    layers = by_layer(changes)
    lines = [f"{layer_label(some[0])}: {', '.join(map(describe_briefly, some))}" for some in layers[:top]]
    return [*lines, f"({len(layers) - top} more layers)"] if len(layers) > top else lines


def metric_label(metric: str) -> str:
    """Return the name of a metric in words."""
    return metric.replace("_", " ")


def layer_label(change: Change) -> str:
    """Return the name of the layer that changed; 'total' for the whole model."""
    return (label(change.layer.path) or "(model)") if change.layer else "total"


def label(name: str) -> str:
    """Return a name on one line, changed if GitHub's runner would execute it as a command."""
    shown = one_line(name).replace("##[", "##\\x5b")
    return f"'{shown}'" if shown.lstrip().startswith("::") else shown


def headline(result: ModelResult) -> str:
    """Return a result in one line without the name: 'worse: macs 1.2 M -> 1.3 M, +100 k (+8.1 %)'."""
    return ": ".join(filter(None, [result.verdict, details(result)]))


def details(result: ModelResult) -> str:
    """Return the reason for a verdict, or the most relevant change; "" if there is neither."""
    if result.reason:
        return one_line(result.reason)
    change = _main_change(result)
    where = f" in {layer_label(change)}" if isinstance(change, CountChange) and change.layer else ""
    stale = "the lock is outdated" if result.stale else ""
    return "; ".join(filter(None, [f"{describe(change)}{where}" if change else "", stale]))


def _main_change(result: ModelResult) -> Change | None:
    """The most relevant change: one with the verdict of the model, else one that fails, else any."""
    decisive = [change for change in result.failing if change.verdict == result.verdict]
    for changes in (decisive, result.failing, result.changes):
        for metric in ("macs", "params", "memory_access", "flops", "activations"):
            for change in changes:
                if isinstance(change, CountChange) and change.metric == metric:
                    return change
        if changes:
            return changes[0]
    return None


def shown_verdict(result: ModelResult, outcome: Outcome) -> str:
    """Return the verdict on a model, or the word for it if the lock was written."""
    if not outcome.written or result.verdict == "over budget":
        return result.verdict
    changed = any(isinstance(change, CountChange) for change in result.changes)
    return AFTER_UPDATE.get(result.verdict, ACCEPTED if changed else result.verdict)


def describe_measured(result: ModelResult) -> str:
    """Return the totals, headroom and change of a model that was measured: 'params 1.2 k, macs 3.4 M; ...'."""
    if result.measured is None or result.measured.measurement is None:
        return ""
    totals = result.measured.measurement.totals
    counts = ", ".join(
        f"{metric_label(m)} {format_count(totals[m], m)}" for m in (*LOCKED_METRICS, *LOCKED_PEAKS)
    )
    change = details(result) or ("unchanged" if result.before else "")
    return "; ".join(filter(None, [counts, *map(describe_headroom, headroom_of(result)), change]))


def describe_headroom(headroom: Headroom) -> str:
    """Return a headroom in words: '7.700 M (38.5 %) left of the macs budget of 20.00 M', or '... over the ...'."""
    metric, budget = headroom.metric, format_count(headroom.budget.maximum, headroom.metric)
    left = f"{format_count(headroom.amount, metric)}{format_share(headroom.percent)}"
    relation = "over" if left.startswith("-") else "left of"
    return f"{left.replace('-', '')} {relation} the {metric_label(metric)} budget of {budget}"


def summarize(outcome: Outcome) -> str:
    """Return the number of models with each verdict: '2 ok, 1 worse'."""
    verdicts = Counter(shown_verdict(result, outcome) for result in outcome.models)
    return ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())


def advice_lines(outcome: Outcome) -> list[str]:
    """Return the next step on one line and its command on another; empty if there is nothing to do."""
    return [one_line(line) for line in outcome.advice or ()]
