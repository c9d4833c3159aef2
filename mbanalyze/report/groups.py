"""The rows of a report by one key, and their shares of the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mbanalyze.display.result import ResultSequence
from mbanalyze.ops.cost import Cost, Count
from mbanalyze.report.rows import Group

if TYPE_CHECKING:
    from mbanalyze.report.network import Report


def share_of(part: Count, whole: Count) -> float | None:
    """Return `part / whole`; None if either is unknown, or `whole` is zero."""
    return None if part is None or not whole else part / whole


@dataclass(frozen=True, repr=False)
class Groups(ResultSequence[Group]):
    """The rows of a report by one key: a sequence of `Group`s, in order of first appearance.

    Attributes:
        report: the report.
        key: the grouping, one of `KEYS`.
        items: the groups.
    """

    report: Report
    key: str
    items: tuple[Group, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report's document, with one row for each group."""
        return {**self.report.as_dict(), "rows": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each group: its key, its number of operators, its totals and its share."""
        return [
            {
                "key": group.key,
                "ops": len(group.rows),
                **group.cost.as_dict(self.report.itemsize),
                "trainable_params": group.trainable_params,
                "live_bytes": self.report.live_bytes(group.rows),
                "macs_share": share_of(group.cost.macs, self.report.totals.macs),
                **self.report.training_counts(group.rows),
                **self.report.convention_column,
            }
            for group in self
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return [
            "key",
            "ops",
            *Cost().as_dict(),
            "trainable_params",
            "live_bytes",
            "macs_share",
            *self.report.training_columns,
            *self.report.convention_column,
        ]
