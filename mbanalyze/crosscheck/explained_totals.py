"""The result of `explain`: the totals of other counters, and their differences from our macs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mbanalyze.conventions.convention import Convention, Difference
from mbanalyze.conventions.known import CONVENTIONS
from mbanalyze.display.result import Result
from mbanalyze.report.network import Report

UNEXPLAINED = "unexplained"
"""The name of the rest of a gap in records."""


@dataclass(frozen=True, slots=True)
class CounterResult:
    """The total of a counter, and its gap from our macs: `macs + sum of the differences + unexplained == total`.

    Attributes:
        counter: the name of the counter's convention.
        version: the installed version; "" if the counter is not installed.
        total: the counter's number in `unit`; None if it gave none.
        unit: `macs` or `flops`.
        differences: the parts of the gap, each with the rule that causes it, the largest first, in `unit`;
            empty with an error.
        unexplained: the rest of the gap; None without a total.
        error: the reason for a missing total, or for rules that do not cover the network; None otherwise.
    """

    counter: str
    version: str
    total: int | None
    unit: str
    differences: tuple[Difference, ...]
    unexplained: int | None
    error: str | None = None

    @property
    def explained(self) -> bool:
        """True if the counter gave a total, and the rules leave nothing of the gap."""
        return self.unexplained == 0 and self.error is None

    @property
    def convention(self) -> Convention | None:
        """The rules of the counter; None if there are none."""
        return CONVENTIONS.get(self.counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a part of a JSON document."""
        return {
            "counter": self.counter,
            "version": self.version,
            "total": self.total,
            "unit": self.unit,
            "differences": [each._asdict() for each in self.differences],
            "unexplained": self.unexplained,
            "error": self.error,
        }

    def parts(self) -> Sequence[tuple[str, int | None]]:
        """Return each difference and the unexplained rest, whose sum is the gap."""
        return (*self.differences, (UNEXPLAINED, self.unexplained))


@dataclass(frozen=True, slots=True, repr=False)
class ExplainedTotals(Result):
    """The totals of other counters for one network, explained.

    Attributes:
        report: the trace with its calls, in eval mode.
        counters: the result of each counter.
    """

    report: Report
    counters: tuple[CounterResult, ...]

    @property
    def macs(self) -> int:
        """Our macs: a lower bound unless the report is complete."""
        return sum(self.report.record.macs)

    @property
    def explained(self) -> bool:
        """True if every counter gave a total, and nothing of its gap is left."""
        return all(each.explained for each in self.counters)

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as the JSON document of schema `mbanalyze.explain/1`."""
        traced = self.report.as_dict()
        subject = {key: traced[key] for key in ("model", "options", "input")}
        return {
            "schema": "mbanalyze.explain/1",
            **subject,
            "macs": self.macs,
            "complete": self.report.complete,
            "counters": [each.as_dict() for each in self.counters],
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each difference, and one for the unexplained rest of each counter."""
        return [
            {
                "counter": each.counter,
                "version": each.version,
                "unit": each.unit,
                "macs": self.macs,
                "total": each.total,
                "what": what,
                "amount": amount,
                "error": each.error,
            }
            for each in self.counters
            for what, amount in each.parts()
        ]
