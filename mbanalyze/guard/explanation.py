"""The explanation of a failure: the layers that cause it, their source lines, and suggestions that would fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mbanalyze.display.result import Result
from mbanalyze.guard.changes import CountChange
from mbanalyze.guard.counting import MeasuredModel
from mbanalyze.guard.limits import BUDGET_METRICS, UNUSED_PARAMS
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy
from mbanalyze.guard.source_location import SourceLocation, layer_location
from mbanalyze.guard.suggestions import Suggestion, Suggestions, suggest
from mbanalyze.report.accounts import PEAKS

EXPLANATION_SCHEMA = "mbanalyze.explanation/1"
CAUSE_KEYS = ("metric", "before", "after", "limit", "grew", "before_at", "after_at")
CONTRIBUTION_KEYS = ("path", "kind", "amount", "share", "file", "line", "what")


@dataclass(frozen=True, slots=True)
class Contribution:
    """The part of a layer in a total.

    Attributes:
        path: path of the layer.
        kind: kinds of its operators.
        amount: growth of its count; the count itself if no layer grew.
        share: fraction of the sum of all amounts, from 0 to 1.
        location: source line of the layer.
    """

    path: str
    kind: str
    amount: int | float
    share: float
    location: SourceLocation


@dataclass(frozen=True, slots=True)
class Cause:
    """A total above its limit, and the layers that contribute to it.

    Attributes:
        metric: metric of the total.
        before: accepted total; None if it is unknown.
        after: measured total; None if it is unknown.
        limit: largest allowed value; None if no limit applies to the total.
        grew: True if the contributions are shares of the growth; False if they are shares of the whole total.
        contributions: contributions of the layers, the largest first; of a peak, the tensors that are in memory.
        before_at: path of the operator at the accepted peak; None if it is unknown, or the total is no peak.
        after_at: path of the operator at the measured peak; None if the total is no peak.
    """

    metric: str
    before: int | float | None
    after: int | float | None
    limit: int | float | None
    grew: bool
    contributions: tuple[Contribution, ...]
    before_at: str | None = None
    after_at: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of the result of one model.

    Attributes:
        result: result of the model.
        causes: failing totals; if only counts of layers fail, the metrics of those.
        suggestions: options that would fit the limits.
        tried: names of the options that were tried.
        problem: reason why options could not be tried; "" if they could.
    """

    result: ModelResult
    causes: tuple[Cause, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    tried: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Explanations(Result):
    """The explanations of several models.

    Attributes:
        outcome: outcome with the results of these models.
        models: explanations in the same order.
    """

    outcome: Outcome
    models: tuple[Explanation, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of schema `EXPLANATION_SCHEMA`."""
        return {"schema": EXPLANATION_SCHEMA, "models": [_model_record(each) for each in self.models]}

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each contribution, with the name of its model and its metric."""
        return [
            {"model": each.result.name, "metric": cause.metric, **_contribution_record(contribution)}
            for each in self.models
            for cause in each.causes
            for contribution in cause.contributions
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return ["model", "metric", *CONTRIBUTION_KEYS]


def _model_record(explanation: Explanation) -> dict[str, Any]:
    return {
        "name": explanation.result.name,
        "verdict": explanation.result.verdict,
        "reason": explanation.result.reason or None,
        "causes": [_cause_record(cause) for cause in explanation.causes],
        "remedies": [
            {"option": each.option, "now": each.current, "value": each.value, "totals": dict(each.totals)}
            for each in explanation.suggestions
        ],
        "tried": list(explanation.tried),
    }


def _cause_record(cause: Cause) -> dict[str, Any]:
    values = {key: getattr(cause, key) for key in CAUSE_KEYS}
    return {**values, "layers": [_contribution_record(each) for each in cause.contributions]}


def _contribution_record(contribution: Contribution) -> dict[str, Any]:
    part, location = contribution, contribution.location
    values = (part.path, part.kind, part.amount, part.share, location.file, location.line, location.name)
    return dict(zip(CONTRIBUTION_KEYS, values, strict=True))


def explain_results(results: Sequence[ModelResult], policy: Policy) -> tuple[Explanation, ...]:
    """Explain the results of models; an explanation has no causes if the model passes or was not measured."""
    limits = {result.name: _limits_of_totals(result) for result in results if result.measured}
    found = suggest(policy, {name: each for name, each in limits.items() if each})
    nothing = Suggestions()
    return tuple(
        Explanation(result, _causes(result, policy), *found.get(result.name, nothing)) for result in results
    )


def _causes(result: ModelResult, policy: Policy) -> tuple[Cause, ...]:
    """The failing totals; if only counts of layers fail, the metrics of those."""
    measured = result.measured
    if measured is None or measured.measurement is None:
        return ()
    failing = [change for change in result.failing if isinstance(change, CountChange)]
    failing = [change for change in failing if change.layer is None] or failing
    metrics = sorted({change.metric for change in failing}, key=BUDGET_METRICS.index)
    return tuple(_cause(result, measured, measured.measurement, metric, policy) for metric in metrics)


def _limits_of_totals(result: ModelResult) -> dict[str, float]:
    """The lowest limit of each total that fails; counts that are not comparable have only budgets."""
    limits: dict[str, float] = {}
    for change in result.failing:
        applies = result.verdict != "not comparable" or change.verdict == "over budget"
        if isinstance(change, CountChange) and not change.layer and change.limit is not None and applies:
            limits[change.metric] = min(change.limit, limits.get(change.metric, change.limit))
    return limits


def _cause(
    result: ModelResult, measured: MeasuredModel, measurement: Measurement, metric: str, policy: Policy
) -> Cause:
    changes = [c for c in result.changes if isinstance(c, CountChange) and c.metric == metric]
    total = next((change for change in changes if change.layer is None), None)
    grown = [(c.layer.path, c.layer.kind, c.growth) for c in changes if c.layer and c.growth > 0]
    parts = grown or _counts_of_layers(measurement, metric)
    whole = sum(amount for _, _, amount in parts)
    contributions = (
        Contribution(
            path, kind, amount, amount / whole, layer_location(measured.locations, path, policy, result.name)
        )
        for path, kind, amount in parts
    )
    return Cause(
        metric,
        result.before.totals.get(metric) if result.before else None,
        measurement.totals[metric],
        total.limit if total else None,
        bool(grown),
        tuple(sorted(contributions, key=lambda each: -each.amount)),
        _place(result.before, metric),
        _place(measurement, metric),
    )


def _place(measurement: Measurement | None, metric: str) -> str | None:
    """The path of the operator at a peak; None if it is unknown, or the metric is no peak."""
    peak = measurement.peaks.get(metric) if measurement else None
    return peak.path if peak else None


def _counts_of_layers(measurement: Measurement, metric: str) -> list[tuple[str, str, int]]:
    """The path, kind and count of every layer; empty for a total that is not the sum of its layers.

    Of a peak, the layers are those whose tensors are in memory.
    """
    if metric in PEAKS:
        return [*measurement.peaks[metric].held] if metric in measurement.peaks else []
    if metric in (UNUSED_PARAMS, "arithmetic_intensity"):
        return []
    counts = [(layer.path, layer.kind, layer.counts.get(metric) or 0) for layer in measurement.layers]
    return [part for part in counts if part[2]]
