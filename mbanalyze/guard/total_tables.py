"""The models of an outcome as tables of one row a model: verdicts, totals, and the distance from budgets."""

from __future__ import annotations

from collections.abc import Iterator

from mbanalyze.display.views import Cell, Column, Section, filled, words
from mbanalyze.guard import wording
from mbanalyze.guard.headroom import Headroom, headroom_of
from mbanalyze.guard.limits import BUDGET_METRICS, LOCKED_PEAKS
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.wording import count_cell, label, metric_label

TOTALS = ("params", "macs", "flops", "memory_access", *LOCKED_PEAKS)
"""The totals that a table of models lists."""
DROP_ORDER = ("flops", "memory access", "peak bytes deployed")


def model_sections(outcome: Outcome) -> Iterator[Section]:
    """Yield the verdicts; if nothing grew too much, also the totals, and their headroom if there are budgets."""
    passes = all(result.verdict == "missing from lock" or not result.exit_code for result in outcome.models)
    yield verdict_section(outcome, totals=passes)
    if passes:
        yield from _headroom_sections(outcome)


def verdict_section(outcome: Outcome, *, totals: bool = False) -> Section:
    """Return the verdict on each model, and its totals if wanted."""
    models = outcome.models
    shown = [wording.shown_verdict(result, outcome) for result in models]
    columns = (
        words("model", [label(result.name) for result in models]),
        words("verdict", [Cell(v, v, _style(r)) for v, r in zip(shown, models, strict=True)]),
        *([_total_column(metric, outcome) for metric in TOTALS] if totals else []),
        words("change" if totals else "details", [_details(r, totals=totals) for r in models], wrap=True),
    )
    against = "recorded in" if outcome.written else "against"
    return Section(f"Model costs {against} {outcome.against}", filled(columns), DROP_ORDER)


def _style(result: ModelResult) -> str:
    if result.exit_code:
        return "red"
    return "green" if result.verdict in ("ok", "better") else "yellow"


def _details(result: ModelResult, *, totals: bool) -> str:
    """The reason of a verdict or the main change; beside totals, also that there is no change."""
    return wording.details(result) or ("none" if totals and result.before and not result.changes else "")


def _total_column(metric: str, outcome: Outcome) -> Column:
    measured = [each.measured.measurement if each.measured else None for each in outcome.models]
    return Column(
        metric_label(metric), [count_cell(each.totals[metric], metric) if each else "" for each in measured]
    )


def _headroom_sections(outcome: Outcome) -> Iterator[Section]:
    """The distance of each total from its budget, if any model has a budget."""
    found = {result.name: {h.metric: h for h in headroom_of(result)} for result in outcome.models}
    found = {name: budgets for name, budgets in found.items() if budgets}
    metrics = [metric for metric in BUDGET_METRICS if any(metric in budgets for budgets in found.values())]
    if found:
        columns = (
            words("model", list(map(label, found))),
            *(
                Column(metric_label(metric), [_headroom_cell(each.get(metric)) for each in found.values()])
                for metric in metrics
            ),
        )
        yield Section("Left of each budget", columns, fixed=1)


def _headroom_cell(headroom: Headroom | None) -> Cell | str:
    """A headroom and its budget: '7.700 M (38.5 %) of 20.00 M'."""
    if headroom is None or headroom.amount is None:
        return ""
    left, budget = (count_cell(n, headroom.metric) for n in (headroom.amount, headroom.budget.maximum))
    share = wording.format_share(headroom.percent)
    return Cell(f"{left.short}{share} of {budget.short}", f"{left.exact}{share} of {budget.exact}")
