"""The time of a network on the machine of a profile, by operator, module, block and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mbanalyze.display.records import finite
from mbanalyze.display.result import Result, ResultSequence
from mbanalyze.inputs.choices import choose
from mbanalyze.profiles.class_fit import ROOFS
from mbanalyze.profiles.operator_class import class_of
from mbanalyze.profiles.predicted_time import OperatorTime, PredictedTime, TimeRange
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report, share_of
from mbanalyze.report.rows import KEYS, grouped
from mbanalyze.timing.prediction_notes import batch_note, coverage_notes

if TYPE_CHECKING:
    import pandas as pd

PREDICT_SCHEMA = "mbanalyze.predict/1"

_TIMES = ("predicted_ms", "low_ms", "high_ms", "share", *(f"{roof}_ms" for roof in ROOFS), "roof")
"""The keys of a time."""


class PredictionError(ValueError):
    """A network whose time is not predicted: another element type, fused, in training, or without a machine."""


@dataclass(frozen=True, slots=True)
class TimeGroup:
    """Operators that share a key, and their predicted time."""

    key: str
    time: PredictedTime


@dataclass(frozen=True, repr=False)
class TimeGroups(ResultSequence[TimeGroup]):
    """The times of a prediction by one key: a sequence of `TimeGroup`s, in order of first appearance.

    Attributes:
        prediction: the prediction.
        key: the grouping, one of `KEYS`.
        items: the groups.
    """

    prediction: Prediction
    key: str
    items: tuple[TimeGroup, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the document of the prediction, with one row for each group."""
        return {**self.prediction.as_dict(), "rows": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each group: its key, its number of operators, its time and its coverage."""
        whole = self.prediction.total.predicted_ms
        return [
            {
                "key": group.key,
                "ops": len(group.time.operators),
                **_times(group.time, whole),
                "coverage": group.time.coverage,
            }
            for group in self
        ]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return ["key", "ops", *_TIMES, "coverage"]


@dataclass(frozen=True, repr=False)
class Prediction(Result):
    """The predicted time of a network.

    Attributes:
        report: the report of the network.
        profile: the speed of the machine.
        time: the time of each operator.
    """

    report: Report
    profile: Profile
    time: PredictedTime

    @property
    def total(self) -> TimeRange:
        """The time of the network with its interval, in milliseconds."""
        return self.time.total

    @property
    def coverage(self) -> float:
        """The share of the time, 0 to 1, that rests on operators of timed classes and sizes."""
        return self.time.coverage

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the report, and reasons to trust the time less."""
        return (*self.report.notes, *batch_note(self.report), *coverage_notes(self.time, self.profile))

    def by(self, key: str) -> TimeGroups:
        """Return the times grouped by `op`, `module`, `block` or `kind`, as `Report.by` groups.

        Raises:
            ChoiceError: unknown grouping.
        """
        of = KEYS[choose("grouping", key, KEYS)]
        names, times = [of(row) for row in self.report.rows], self.time.operators
        if key == "op":
            groups = [(name, [time]) for name, time in zip(names, times, strict=True)]
        else:
            groups = [*grouped(times, names).items()]
        return TimeGroups(self, key, tuple(self.group(name, members) for name, members in groups))

    def group(self, key: str, operators: Iterable[OperatorTime]) -> TimeGroup:
        """Return some of the operators as a group."""
        return TimeGroup(key, replace(self.time, operators=tuple(operators)))

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the JSON document of schema `PREDICT_SCHEMA`."""
        report = self.report
        return {
            "schema": PREDICT_SCHEMA,
            "model": report.model,
            "options": {name: finite(value) for name, value in report.options.items()},
            "input": [list(sizes) for sizes in report.input],
            "method": report.method,
            "versions": dict(report.versions),
            "dtype": report.dtype,
            "profile": self.profile.settings,
            "totals": {**self.total._asdict(), "coverage": self.coverage},
            "rows": self.records(),
            "notes": list(self.notes),
            "unseen": list(report.unseen),
        }

    def records(self, by: str | None = None) -> list[dict[str, Any]]:
        """Return one record for each operator, or for each group of `by`."""
        if by is not None:
            return self.by(by).records()
        whole = self.total.predicted_ms
        return [
            {
                "path": each.op.path,
                "kind": each.op.kind,
                "variant": each.op.variant,
                "class": class_of(each.op),
                **_times(replace(self.time, operators=(each,)), whole),
                "covered": each.is_covered,
            }
            for each in self.time.operators
        ]

    def columns(self, by: str | None = None) -> list[str]:
        """Return the keys of each record."""
        return (
            ["path", "kind", "variant", "class", *_TIMES, "covered"] if by is None else self.by(by).columns()
        )

    def frame(self, by: str | None = None) -> pd.DataFrame:
        """Return `records(by)` as a pandas DataFrame."""
        return super().frame() if by is None else self.by(by).frame()

    def to(self, format: str = "table", by: str | None = None, **options: Any) -> str:
        """Return the prediction as text.

        Args:
            format: `table`, `markdown`, `csv` or `json`.
            by: the grouping of its rows; by default `module` in tables, and none in `csv` and `json`.
            options: settings of the view. `top` is a number of rows, the slowest first: tables sum the other rows
                in one, and data leave them out. `width` limits a table.

        Raises:
            ChoiceError: unknown format, grouping or setting.
            SelectionError: `top` is below 1.
        """
        return super().to(format, **options) if by is None else self.by(by).to(format, **options)


def _times(time: PredictedTime, whole: float) -> dict[str, Any]:
    """The time of some operators, its share of the whole, its parts, and the largest part."""
    parts = {f"{roof}_ms": ns / 1e6 for roof, ns in time.parts._asdict().items()}
    total = time.total
    return {**total._asdict(), "share": share_of(total.predicted_ms, whole), **parts, "roof": time.parts.roof}
