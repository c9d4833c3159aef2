"""The headroom of a model: the distance of each of its totals from its budget."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.guard.limits import Budget
from mbanalyze.guard.model_result import ModelResult


@dataclass(frozen=True, slots=True)
class Headroom:
    """The distance of a total from its budget.

    Attributes:
        metric: metric of the total.
        measured: measured total; None if it is unknown.
        budget: budget of the total.
    """

    metric: str
    measured: int | float | None
    budget: Budget

    @property
    def amount(self) -> int | float | None:
        """The budget minus the measured total: negative above the budget, None if the total is unknown."""
        return None if self.measured is None else self.budget.maximum - self.measured

    @property
    def percent(self) -> float | None:
        """The amount in per cent of the budget; None if the total is unknown, or the budget is zero."""
        if self.amount is None or not self.budget.maximum:
            return None
        return 100 * self.amount / self.budget.maximum


def headroom_of(result: ModelResult) -> tuple[Headroom, ...]:
    """Return the headroom of each total that has a budget, empty if the model was not measured."""
    measured = result.measured
    if measured is None or measured.measurement is None:
        return ()
    totals = measured.measurement.totals
    budgets = measured.model.rules.budget.items()
    return tuple(Headroom(metric, totals[metric], each) for metric, each in budgets if each.level != "off")
