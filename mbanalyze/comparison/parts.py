"""The parts of compared networks: a kind, a stage or a layer, with its rows in each report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mbanalyze.report.rows import Group, Row, group, grouped

PART_COUNTS = ("params", "macs", "flops", "memory_access")
"""The counts of a kind, a stage or a layer."""
PREDICTED_MS = "predicted_ms"
"""The predicted time of a kind, a stage or a layer, in milliseconds; only with a profile."""
UNCERTAIN = frozenset({"macs", "flops", "activations", "arithmetic_intensity"})
"""The totals that are lower bounds if an operator is uncounted."""

Status = Literal["same", "changed", "renamed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class Part:
    """A kind, a stage or a layer.

    Attributes:
        key: its name; for a layer, its path in the last report that has it.
        groups: its rows, one group a report; empty in a report without the part.
        milliseconds: its predicted time in each report; empty without a profile.
    """

    key: str
    groups: tuple[Group, ...]
    milliseconds: tuple[float, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The counts that the part has: `PART_COUNTS`, and `PREDICTED_MS` with a profile."""
        return (*PART_COUNTS, PREDICTED_MS) if self.milliseconds else PART_COUNTS

    def counts(self, name: str) -> tuple[Any, ...]:
        """Return one of `names` in each report: integers, or floats for `PREDICTED_MS`; None if unknown."""
        if name == PREDICTED_MS:
            return self.milliseconds
        return tuple(getattr(group.cost, name) for group in self.groups)

    def changes(self, name: str) -> tuple[Any, ...]:
        """Return the difference of a count from the first report, for each report; None if unknown."""
        return differences(self.counts(name), [g.complete or name not in UNCERTAIN for g in self.groups])

    @property
    def unchanged(self) -> bool:
        """True if path, kinds, output and cost are the same in all reports."""
        return len({(g.key, g.kinds, g.output, g.cost) for g in self.groups}) == 1

    @property
    def status(self) -> Status:
        """The status of a layer of two reports; a `renamed` layer may also cost more or less."""
        before, after = self.groups[0], self.groups[-1]
        if not (before.rows and after.rows):
            return "added" if after.rows else "removed"
        if before.key != after.key:
            return "renamed"
        return "same" if self.unchanged else "changed"

    @property
    def size(self) -> tuple[int, ...]:
        """The largest change of macs, of memory access and of params: a key to sort by; unknown is 0."""
        changes = map(self.changes, ("macs", "memory_access", "params"))
        return tuple(max(abs(change or 0) for change in some) for some in changes)

    def counts_by_report(self) -> list[dict[str, Any]]:
        """Return the counts by name, for each report."""
        return self._by_report([self.counts(name) for name in self.names])

    def changes_by_report(self) -> list[dict[str, Any]]:
        """Return the changes by name, for each report."""
        return self._by_report([self.changes(name) for name in self.names])

    def _by_report(self, counts: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
        return [dict(zip(self.names, line, strict=True)) for line in zip(*counts, strict=True)]

    def layer_dict(self) -> dict[str, Any]:
        """Return a layer of two reports as a JSON object; a side without it is None."""
        before, after = (
            {"path": group.key, "kind": _kinds(group), "output": _output(group), **counts}
            if group.rows
            else None
            for group, counts in zip(self.groups, self.counts_by_report(), strict=True)
        )
        return {
            "status": self.status,
            "before": before,
            "after": after,
            "change": self.changes_by_report()[-1],
        }

    def layer_record(self) -> dict[str, Any]:
        """Return a layer of two reports as a flat record; counts are zero on a side without it."""
        sides = {f"_{side}": group for side, group in zip(("before", "after"), self.groups, strict=True)}
        counts = [*self.counts_by_report(), self.changes_by_report()[-1]]
        return {
            "status": self.status,
            **{f"path{side}": group.key if group.rows else None for side, group in sides.items()},
            **{f"kind{side}": _kinds(group) or None for side, group in sides.items()},
            **{f"output{side}": _output(group) or None for side, group in sides.items()},
            **{
                f"{name}{side}": some[name]
                for name in self.names
                for side, some in zip([*sides, "_change"], counts, strict=True)
            },
        }


def differences(counts: Sequence[Any], known: Sequence[bool]) -> tuple[Any, ...]:
    """Return each count minus the first; None if either is not exactly known."""
    first = counts[0] if known[0] else None
    return tuple(
        None if first is None or count is None or not exact else count - first
        for count, exact in zip(counts, known, strict=True)
    )


def parts_of(reports: Sequence[Sequence[Row]], keys: Sequence[Sequence[str]]) -> tuple[Part, ...]:
    """Group the rows of each report by the keys given for them: a part for each key."""
    found = [grouped(rows, names) for rows, names in zip(reports, keys, strict=True)]
    every = dict.fromkeys(key for names in keys for key in names)
    return largest_first(Part(key, tuple(group(key, rows.get(key, ())) for rows in found)) for key in every)


def largest_first(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Sort parts by the size of their change, the largest first."""
    return tuple(sorted(parts, key=lambda part: part.size, reverse=True))


def _kinds(group: Group) -> str:
    return " + ".join(group.kinds)


def _output(group: Group) -> list[list[int]]:
    return list(map(list, group.output))
