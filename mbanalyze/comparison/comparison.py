"""Two or more reports side by side, and where the difference between them lies: kinds, stages and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from mbanalyze.comparison.alignment import Layer, aligned
from mbanalyze.comparison.stages import blocks, stages, takes_images
from mbanalyze.display.records import one_line
from mbanalyze.inputs.choices import choose
from mbanalyze.ops.cost import Cost, Count
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Group, Row, group

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

SCHEMA = "mbanalyze.comparison/1"
COUNTS = ("params", "macs", "flops", "memory_access")
"""What is told of each kind, stage and layer."""
TOTALS = tuple(Cost().as_dict())
"""What is told of each report."""
UNCERTAIN = frozenset({"macs", "flops", "activations", "arithmetic_intensity"})
"""Of these, the ones that are lower bounds at best where an operator is not counted."""

Status = Literal["same", "changed", "renamed", "added", "removed"]


class ComparisonError(ValueError):
    """Reports that cannot be compared, or not in this way."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind, stage or layer, and its rows in each report; a report without any has a group of none.

    Attributes:
        groups: one a report, in their order. Those of a layer are named by its path in each.
    """

    key: str
    groups: tuple[Group, ...]

    def counts(self, name: str) -> tuple[Count, ...]:
        """Its params, macs, flops or memory access in each report; None where nothing is known."""
        return tuple(getattr(group.cost, name) for group in self.groups)

    def changes(self, name: str) -> tuple[Count, ...]:
        """How its counts differ from those in the first report: zero for that one, None where unknown."""
        known = [group.complete or name not in UNCERTAIN for group in self.groups]
        return _changes(self.counts(name), known)

    @property
    def unchanged(self) -> bool:
        """Whether it has one path, the same kinds and output, and costs the same in all reports."""
        first = self.groups[0]
        return all(
            (group.key, group.kinds, group.output, group.cost)
            == (first.key, first.kinds, first.output, first.cost)
            for group in self.groups[1:]
        )

    @property
    def status(self) -> Status:
        """What became of a layer of two reports: `renamed` is one of another path, whatever it costs."""
        before, after = self.groups[0], self.groups[-1]
        if not (before.rows and after.rows):
            return "added" if after.rows else "removed"
        if before.key != after.key:
            return "renamed"
        return "same" if self.unchanged else "changed"

    @property
    def size(self) -> tuple[int, ...]:
        """How much it changes at most: its macs first, then memory access and params; unknown counts as none."""
        changes = map(self.changes, ("macs", "memory_access", "params"))
        return tuple(max(abs(change or 0) for change in some) for some in changes)


def _changes(counts: Sequence[Count], known: Sequence[bool]) -> tuple[Count, ...]:
    first = counts[0] if known[0] else None
    return tuple(
        None if first is None or count is None or not sure else count - first
        for count, sure in zip(counts, known, strict=True)
    )


@dataclass(frozen=True)
class Comparison:
    """Reports side by side, all of them against the first: what `compare` returns."""

    reports: tuple[Report, ...]

    def __post_init__(self) -> None:
        if len(self.reports) < 2:
            raise ComparisonError(f"compare two reports or more, not {len(self.reports)}")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What to call each report: its model, the options that differ, and no more than makes it the only one."""
        options = _differing(self.reports)
        names = [
            " ".join([r.model, *(f"{name}={r.options[name]}" for name in r.options if name in options)])
            for r in self.reports
        ]
        for tell in (_inputs, lambda r: r.method, lambda r: r.dtype):
            if len({*names}) < len(names) and len({tell(r) for r in self.reports}) > 1:
                names = [f"{name} {tell(r)}" for name, r in zip(names, self.reports, strict=True)]
        names = [one_line(name) for name in names]
        if len({*names}) == len(names):
            return tuple(names)
        return tuple(f"{name} ({i})" for i, name in enumerate(names, 1))

    @cached_property
    def totals(self) -> tuple[dict[str, int | float | None], ...]:
        """The totals of each report, by name."""
        return tuple(report.totals.as_dict(report.itemsize) for report in self.reports)

    @cached_property
    def ratios(self) -> tuple[dict[str, float | None], ...]:
        """Those over the first report's; None where one of the two is zero, unknown or a lower bound."""
        return tuple({name: self._ratio(name, i) for name in TOTALS} for i in range(len(self.reports)))

    def _ratio(self, name: str, i: int) -> float | None:
        value, first = self.totals[i][name], self.totals[0][name]
        return value / first if self.known(name, i) and self.known(name, 0) and value and first else None

    def known(self, name: str, i: int) -> bool:
        """Whether that total of report `i` is exact, and no lower bound."""
        return name not in UNCERTAIN or self.reports[i].complete

    def changes(self, name: str) -> tuple[Count, ...]:
        """How much of a count each report has more than the first; None where one is a lower bound.

        The changes of all kinds sum to this, and so do those of all stages and of all layers.
        """
        counts = [getattr(report.totals, name) for report in self.reports]
        return _changes(counts, [self.known(name, i) for i in range(len(counts))])

    @cached_property
    def by_kind(self) -> tuple[Part, ...]:
        """A part for each kind and variant, those that change most first."""
        return self._parts([[row.type for row in report.rows] for report in self.reports])

    @cached_property
    def by_stage(self) -> tuple[Part, ...]:
        """A part for each of the `stages`, or for each block unless all take images; the largest change first."""
        names = stages if all(map(takes_images, self.reports)) else blocks
        return self._parts([names(report) for report in self.reports])

    def _parts(self, names: Sequence[Sequence[str]]) -> tuple[Part, ...]:
        """Rows by their names: a part for each name."""
        grouped = [_grouped(report.rows, keys) for report, keys in zip(self.reports, names, strict=True)]
        every = dict.fromkeys(key for keys in names for key in keys)
        return _sorted(Part(key, tuple(group(key, found.get(key, ())) for found in grouped)) for key in every)

    @cached_property
    def layers(self) -> tuple[Part, ...] | None:
        """A part for each layer of two networks, those that change most first; None for more networks.

        A layer is a module's own operators; `alignment.aligned` says which are counterparts.
        """
        if len(self.reports) != 2:
            return None
        before, after = (report.by("module") for report in self.reports)
        pairs = aligned(*_placed(self.reports))
        none = group("", ())
        both = [(none if i is None else before[i], none if j is None else after[j]) for i, j in pairs]
        return _sorted(Part((pair[1] if pair[1].rows else pair[0]).key, pair) for pair in both)

    def as_dict(self) -> dict[str, Any]:
        """The comparison as the JSON document of schema `SCHEMA`."""
        return {
            "schema": SCHEMA,
            "models": [
                {
                    "label": label,
                    "model": report.model,
                    "options": {name: _json_option(value) for name, value in report.options.items()},
                    "input": [list(shape) for shape in report.input],
                    "method": report.method,
                    "dtype": report.dtype,
                    "complete": report.complete,
                    "totals": totals,
                }
                for label, report, totals in zip(self.labels, self.reports, self.totals, strict=True)
            ],
            "ratios": list(self.ratios),
            "by_kind": [_part("kind", part) for part in self.by_kind],
            "by_stage": [_part("stage", part) for part in self.by_stage],
            "layers": None if self.layers is None else [_layer(layer) for layer in self.layers],
        }

    def records(self, which: str = "totals") -> list[dict[str, Any]]:
        """Flat records: a report each (`totals`), a report's `kind` or `stage` each, or a layer each (`layers`).

        Raises:
            ComparisonError: layers of more than two reports.
            ChoiceError: `which` is none of these.
        """
        return RECORDS[choose("table", which, RECORDS)](self)

    def frame(self, which: str = "totals") -> pd.DataFrame:
        """`records(which)` as a pandas DataFrame; counts that may be unknown are nullable integers.

        Raises:
            ComparisonError, ChoiceError: as `records`.
        """
        import pandas as pd

        frame = pd.DataFrame(self.records(which))
        counts = frame.filter(regex="^(macs|flops|activations)(_before|_after|_change)?$")
        fitting = [name for name in counts if not (frame[name].dropna().abs() >= 2**63).any()]
        return frame.astype(dict.fromkeys(fitting, "Int64"))

    def __repr__(self) -> str:
        from mbanalyze.comparison.view import as_table

        return as_table(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from mbanalyze.comparison.view import table

        yield table(self, options.max_width)

    def _repr_html_(self) -> str:
        from mbanalyze.comparison.view import html

        return html(self)


def compare(*reports: Report) -> Comparison:
    """Reports side by side, all of them against the first.

    Raises:
        ComparisonError: fewer than two.

    >>> from mbanalyze import count
    >>> both = compare(count("mobilenet_v2"), count("mobilenet_v2", alpha=0.75))
    >>> both.changes("macs"), both.by_kind[0].key
    ((0, -91704480), 'conv pointwise')
    """
    return Comparison(reports)


def _placed(reports: Sequence[Report]) -> Iterator[list[Layer]]:
    """The layers of each report: its modules, placed by the stage of their first operator if all take images."""
    images = all(map(takes_images, reports))
    for report in reports:
        names = stages(report) if images else [""] * len(report.rows)
        stage = dict(reversed([(row.op.path, name) for row, name in zip(report.rows, names, strict=True)]))
        yield [Layer(g.key, g.kinds, stage[g.key], (g.output, g.cost)) for g in report.by("module")]


def _inputs(report: Report) -> str:
    return " ".join("x".join(map(str, shape)) for shape in report.input)


def _differing(reports: Sequence[Report]) -> set[str]:
    """The options of which two reports have different values, or of one model one has a value and one has none."""
    found = set()
    for name in {name for report in reports for name in report.options}:
        models = {report.model for report in reports if name in report.options}
        values = {repr(r.options[name]) if name in r.options else "" for r in reports if r.model in models}
        found |= {name} if len(values) > 1 else set()
    return found


def _json_option(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row, key in zip(rows, keys, strict=True):
        groups.setdefault(key, []).append(row)
    return groups


def _sorted(parts: Iterator[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: part.size, reverse=True))


def _told(counts: Callable[[str], Sequence[Count]]) -> list[dict[str, Count]]:
    """Counts by name, for each report."""
    return [dict(zip(COUNTS, line, strict=True)) for line in zip(*map(counts, COUNTS), strict=True)]


def _part(what: str, part: Part) -> dict[str, Any]:
    return {what: part.key, "counts": _told(part.counts), "changes": _told(part.changes)}


def _layer(layer: Part) -> dict[str, Any]:
    before, after = (
        {"path": group.key, "kind": _kinds(group), "output": _output(group), **counts} if group.rows else None
        for group, counts in zip(layer.groups, _told(layer.counts), strict=True)
    )
    return {"status": layer.status, "before": before, "after": after, "change": _told(layer.changes)[-1]}


def _total_records(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"model": label, **totals, **{f"{name}_ratio": ratio for name, ratio in ratios.items()}}
        for label, totals, ratios in zip(comparison.labels, comparison.totals, comparison.ratios, strict=True)
    ]


def _part_records(what: str, comparison: Comparison) -> list[dict[str, Any]]:
    parts = comparison.by_kind if what == "kind" else comparison.by_stage
    return [
        {
            what: part.key,
            "model": label,
            **counts,
            **{f"{name}_change": change for name, change in changes.items()},
        }
        for part in parts
        for label, counts, changes in zip(
            comparison.labels, _told(part.counts), _told(part.changes), strict=True
        )
    ]


def _kinds(group: Group) -> str:
    return " + ".join(group.kinds)


def _output(group: Group) -> list[list[int]]:
    return list(map(list, group.output))


def _layer_records(comparison: Comparison) -> list[dict[str, Any]]:
    if comparison.layers is None:
        raise ComparisonError(f"layers are aligned in two reports, not in {len(comparison.reports)}")
    return [_flat(layer) for layer in comparison.layers]


def _flat(layer: Part) -> dict[str, Any]:
    """A layer in one line: what it was, what it is, and the change; a count is zero where it is not there."""
    sides = {f"_{side}": group for side, group in zip(("before", "after"), layer.groups, strict=True)}
    told = [*_told(layer.counts), _told(layer.changes)[-1]]
    return {
        "status": layer.status,
        **{f"path{side}": group.key if group.rows else None for side, group in sides.items()},
        **{f"kind{side}": _kinds(group) or None for side, group in sides.items()},
        **{f"output{side}": _output(group) or None for side, group in sides.items()},
        **{
            f"{name}{side}": counts[name]
            for name in COUNTS
            for side, counts in zip([*sides, "_change"], told, strict=True)
        },
    }


RECORDS: dict[str, Callable[[Comparison], list[dict[str, Any]]]] = {
    "totals": _total_records,
    "kind": partial(_part_records, "kind"),
    "stage": partial(_part_records, "stage"),
    "layers": _layer_records,
}
"""What a comparison holds, as flat records."""
