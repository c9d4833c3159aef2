"""The relative time of a network on a GPU, by the constants of the data sheet: it orders networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import fsum
from typing import Any

from mbanalyze.display.records import finite
from mbanalyze.display.result import Result, ResultSequence
from mbanalyze.inputs.choices import choose
from mbanalyze.profiles.data_sheet import SHEET_ROOFS, DataSheet, SheetRoof, data_sheet
from mbanalyze.report.network import Report, share_of
from mbanalyze.report.rows import Group, Row
from mbanalyze.sources.resolve import Countable, count
from mbanalyze.sources.timed_reports import PredictionError, is_training
from mbanalyze.timing.prediction import PREDICT_SCHEMA
from mbanalyze.timing.sheet_rows import EXECUTIONS, REFERENCE, Execution, reference_ns, sum_ns, time_of_row

SHEET_DTYPES = ("float16", "float32")
"""The element types of data sheets."""

ORDERS = "a relative time orders networks; it is no prediction in milliseconds, which needs a profile"
"""The note of every relative time."""

SUMMARY = ("relative_time", "share", "roof")
"""The keys of `RelativeTime.summary`."""


@dataclass(frozen=True, repr=False)
class RelativeGroups(ResultSequence[Group]):
    """The relative times of a network by one key: a sequence of groups, in order of first appearance.

    Attributes:
        network: the relative time of the network.
        key: the grouping, one of `KEYS`.
        items: the groups.
    """

    network: RelativeTime
    key: str
    items: tuple[Group, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the document of the network, with one row for each group."""
        return {**self.network.as_dict(), "rows": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each group: its key, its number of operators, and its relative time."""
        return [
            {"key": group.key, "ops": len(group.rows), **self.network.summary(group.rows)} for group in self
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return ["key", "ops", *SUMMARY]


@dataclass(frozen=True, repr=False)
class RelativeTime(Result):
    """The time of a network on a GPU, divided by that of the reference network.

    Attributes:
        report: the report of the network, whose rows are the operators that run.
        sheet: the data sheet of the GPU.
        execution: `eager` or `fused`.
    """

    report: Report
    sheet: DataSheet
    execution: Execution

    @cached_property
    def relative_time(self) -> float:
        """The time of the network in units of the reference."""
        return self.of(self.report.rows)

    @property
    def reference(self) -> str:
        """The network that takes one unit."""
        return REFERENCE if self.batch == 1 else f"{REFERENCE}@batch={self.batch}"

    @property
    def batch(self) -> int:
        """The number of images: the first of four or more sizes of an input, else 1."""
        return max((int(sizes[0]) for sizes in self.report.input if len(sizes) >= 4), default=1)

    def of(self, rows: Iterable[Row]) -> float:
        """Return the relative time of some rows; the rows of the report add up to the whole."""
        unit = reference_ns(self.sheet.device, self.execution, self.batch, self.report.dtype)
        return sum_ns(rows, self.report, self.sheet) / unit

    def roofs(self, rows: Iterable[Row]) -> dict[SheetRoof, float]:
        """Return the share of some rows' time by the roof that they hit, the largest first."""
        times = dict.fromkeys(SHEET_ROOFS, 0.0)
        for time in [time_of_row(row, self.report, self.sheet) for row in rows]:
            times[time.roof] += time.ns
        whole = fsum(times.values())
        ordered = sorted(SHEET_ROOFS, key=lambda roof: -times[roof])
        return {roof: times[roof] / whole for roof in ordered if times[roof]}

    def summary(self, rows: Iterable[Row]) -> dict[str, Any]:
        """Return the relative time of some rows, their share of the whole, and the roof with the largest share."""
        chosen = tuple(rows)
        time = self.of(chosen)
        roof = next(iter(self.roofs(chosen)), None)
        return {"relative_time": time, "share": share_of(time, self.relative_time), "roof": roof}

    @property
    def notes(self) -> tuple[str, ...]:
        """The limits of the relative time, and the notes of the report."""
        source = f"the numbers of {self.sheet.title} are from: {self.sheet.source}"
        return (ORDERS, *self._doubts(), source, *self.report.notes)

    def _doubts(self) -> Iterator[str]:
        """Yield reasons to trust the relative time less."""
        roof, share = next(iter(self.roofs(self.report.rows).items()), ("", 0.0))
        if roof == "overhead":
            yield (
                f"{100 * share:.0f} % of the time is overhead, assumed to be {self.sheet.launch_ns:g} ns an operator, "
                "so the number of operators decides; a larger batch depends less on the assumption"
            )
        if times := Counter(each.operator for each in self.report.uncounted for _ in range(each.times)):
            kinds = ", ".join(f"{kind} x {n}" for kind, n in times.items())
            yield f"flops are unknown, so the time is that of bytes: {kinds}"

    def by(self, key: str) -> RelativeGroups:
        """Return the relative times grouped by `op`, `module`, `block` or `kind`, as `Report.by` groups.

        Raises:
            ChoiceError: unknown grouping.
        """
        return RelativeGroups(self, key, self.report.by(key).items)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the JSON document of schema `PREDICT_SCHEMA`, without milliseconds."""
        report = self.report
        return {
            "schema": PREDICT_SCHEMA,
            "model": report.model,
            "options": {name: finite(value) for name, value in report.options.items()},
            "input": [list(sizes) for sizes in report.input],
            "method": report.method,
            "versions": dict(report.versions),
            "dtype": report.dtype,
            "device": self.sheet._asdict(),
            "execution": self.execution,
            "totals": {"relative_time": self.relative_time, "reference": self.reference},
            "rows": self.records(),
            "notes": list(self.notes),
            "unseen": list(report.unseen),
        }

    def records(self, by: str | None = None) -> list[dict[str, Any]]:
        """Return one record for each operator, or for each group of `by`."""
        if by is not None:
            return self.by(by).records()
        return [
            {
                "path": row.op.path,
                "kind": row.op.kind,
                "variant": row.op.variant,
                "merged": list(row.merged),
                **self.summary([row]),
            }
            for row in self.report.rows
        ]

    def columns(self, by: str | None = None) -> list[str]:
        """Return the keys of each record."""
        return ["path", "kind", "variant", "merged", *SUMMARY] if by is None else self.by(by).columns()

    def to(self, format: str = "table", by: str | None = None, **options: Any) -> str:
        """Return the relative time as text, as `Prediction.to` does; errors as there."""
        return super().to(format, **options) if by is None else self.by(by).to(format, **options)


def relative_time(
    what: Countable | Report,
    /,
    *inputs: Any,
    device: str,
    execution: Execution = "eager",
    **options: Any,
) -> RelativeTime:
    """Return the time of a network on a GPU relative to that of MobileNetV2, by the data sheet of the GPU.

    Each operator takes a constant overhead, and the longer of two times: its flops at the peak, and its bytes at
    the full bandwidth. Real operators reach a part of both, so the sum orders networks and gives no milliseconds.

    Args:
        what: a network, as `mbanalyze.count` takes it, or its report.
        inputs: the inputs of its forward pass, as for `count`.
        device: the name of a GPU, such as `rtx4090`: a key of `data_sheets()`.
        execution: `eager` for the operators that PyTorch runs one by one, `fused` for those of an inference engine.
        options: hyper-parameters of the network, as for `count`; `dtype` is `float16` (default) or `float32`.

    Raises:
        ChoiceError: unknown device, execution or dtype.
        PredictionError: a fused network, training, or inputs or options with a report.
        OptionError, InputError, ShapeError, SourceError, TraceError: the network cannot be counted.
    """
    sheet = data_sheet(device)
    choose("execution", execution, EXECUTIONS)
    if not isinstance(what, Report):
        what = count(what, *inputs, dtype=options.pop("dtype", None) or SHEET_DTYPES[0], **options)
    elif inputs or options:
        raise PredictionError("inputs and options describe a network: give one that is not counted yet")
    _require_forward(what)
    return RelativeTime(what.fused() if execution == "fused" else what, sheet, execution)


def _require_forward(report: Report) -> None:
    """Raise an error unless a report is of a forward pass in eval mode, in a type that data sheets have."""
    choose("dtype", report.dtype, SHEET_DTYPES)
    if report.is_fused:
        raise PredictionError("the operators are merged already: leave out fused, and give execution='fused'")
    if is_training(report):
        raise PredictionError(
            "a relative time is that of a forward pass in eval mode: leave out train and mode"
        )
