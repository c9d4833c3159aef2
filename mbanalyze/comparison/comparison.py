"""Two or more networks compared: totals, kinds, stages and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mbanalyze.archs import find, name_of
from mbanalyze.comparison.alignment import AlignableLayer, aligned
from mbanalyze.comparison.compared_times import ComparedTimes, SpeedVerdict
from mbanalyze.comparison.known_accuracy import KnownAccuracy, known_accuracies
from mbanalyze.comparison.parts import PREDICTED_MS, UNCERTAIN, Part, differences, largest_first, parts_of
from mbanalyze.comparison.report_labels import labels_of
from mbanalyze.comparison.stages import blocks, stages, takes_images
from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.inputs.typed import AnyPath, is_shape
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import read_accuracy
from mbanalyze.report.network import TOTALS, Report
from mbanalyze.report.rows import group
from mbanalyze.sources.resolve import Countable, count
from mbanalyze.sources.resolved_model import check_flags
from mbanalyze.sources.timed_reports import given_profile, time_of_report

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.conventions.convention import Convention
    from mbanalyze.literature.accuracy.own_table import Accuracy
    from mbanalyze.profiles.time_profile import Profile

COMPARISON_SCHEMA = "mbanalyze.comparison/1"


class ComparisonError(ValueError):
    """Networks that cannot be compared, or not in this way."""


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Reports compared with the first of them.

    Attributes:
        reports: the reports, two or more.
        accuracies: the accuracy of each report; by default the published one.
        own: the use of the user's accuracy; None without one.
        predicted: the predicted time of each report; None without a profile.
    """

    reports: tuple[Report, ...]
    accuracies: tuple[KnownAccuracy, ...] = ()
    own: OwnUse | None = None
    predicted: ComparedTimes | None = None

    def __post_init__(self) -> None:
        if len(self.reports) < 2:
            raise ComparisonError(f"compare two models or more, not {len(self.reports)}")
        if not self.accuracies:
            object.__setattr__(self, "accuracies", known_accuracies(self.reports, None, published=True)[0])

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """A name for each report: its model, the options that differ, and the least that makes it unique.

        Conventions that differ are in every name.
        """
        return labels_of(self.reports)

    @property
    def other_convention(self) -> Convention | None:
        """The convention of another counter that all reports share; None for ours, or if they differ."""
        same = len({report.convention for report in self.reports}) == 1
        return self.reports[0].other_convention if same else None

    @cached_property
    def totals(self) -> tuple[dict[str, int | float | None], ...]:
        """The totals of each report, by name; with a profile also `TIME_TOTALS`."""
        return tuple(
            {**report.total_counts(), **(self.predicted.totals(i) if self.predicted else {})}
            for i, report in enumerate(self.reports)
        )

    @cached_property
    def ratios(self) -> tuple[dict[str, float | None], ...]:
        """The totals divided by those of the first report; None if either is zero, unknown or a lower bound."""
        names = (*TOTALS, PREDICTED_MS) if self.predicted else TOTALS
        return tuple({name: self._ratio(name, i) for name in names} for i in range(len(self.reports)))

    @cached_property
    def speeds(self) -> tuple[SpeedVerdict | None, ...]:
        """The verdict on the predicted time of each report beside the first; None if it is unknown."""
        if self.predicted is None:
            return (None,) * len(self.reports)
        ratios = [ratios[PREDICTED_MS] for ratios in self.ratios]
        return tuple(self.predicted.verdict(i, ratio) for i, ratio in enumerate(ratios))

    def _ratio(self, name: str, i: int) -> float | None:
        value, first = self.totals[i][name], self.totals[0][name]
        return value / first if self.known(name, i) and self.known(name, 0) and value and first else None

    def known(self, name: str, i: int) -> bool:
        """Return True if a total of report `i` is exact, not a lower bound."""
        if name == PREDICTED_MS:
            return not self.reports[i].unseen
        return name not in UNCERTAIN or self.reports[i].complete

    def changes(self, name: str) -> tuple[Any, ...]:
        """Return a count of each report minus the first's; None if either is a lower bound.

        The changes of all kinds sum to this, and so do those of all stages and of all layers.
        """
        counts = [totals[name] for totals in self.totals]
        return differences(counts, [self.known(name, i) for i in range(len(counts))])

    @cached_property
    def by_kind(self) -> tuple[Part, ...]:
        """A part for each kind and variant, the largest change first."""
        types = [[row.type for row in report.rows] for report in self.reports]
        return self._timed(parts_of([report.rows for report in self.reports], types))

    @cached_property
    def by_stage(self) -> tuple[Part, ...]:
        """A part for each stage, or for each block unless all networks take images; the largest change first."""
        keys = stages if self.takes_images else blocks
        names = [keys(report) for report in self.reports]
        return self._timed(parts_of([report.rows for report in self.reports], names))

    def _timed(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """The parts, with their predicted times if there is a profile."""
        return self.predicted.timed(parts) if self.predicted else tuple(parts)

    @property
    def takes_images(self) -> bool:
        """True if every network takes images."""
        return all(map(takes_images, self.reports))

    @cached_property
    def layers(self) -> tuple[Part, ...] | None:
        """A part for each layer of two networks, the largest change first; None for more networks.

        A layer is a module's own operators; `alignment.aligned` finds the counterparts.
        """
        if len(self.reports) != 2:
            return None
        before, after = (report.by("module") for report in self.reports)
        none = group("", ())
        pairs = [
            (none if i is None else before[i], none if j is None else after[j])
            for i, j in aligned(*self._alignable())
        ]
        parts = [Part((pair[1] if pair[1].rows else pair[0]).key, pair) for pair in pairs]
        return self._timed(largest_first(parts))

    def _alignable(self) -> Iterator[list[AlignableLayer]]:
        """The layers of each report, placed by the stage of their first operator if all take images."""
        for report in self.reports:
            names = stages(report) if self.takes_images else [""] * len(report.rows)
            stage = dict(
                reversed([(row.op.path, name) for row, name in zip(report.rows, names, strict=True)])
            )
            yield [
                AlignableLayer(g.key, g.kinds, stage[g.key], (g.output, g.cost)) for g in report.by("module")
            ]

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as the JSON document of schema `COMPARISON_SCHEMA`."""
        described = zip(
            *(self.labels, self.reports, self.totals, self.accuracies, _speed_columns(self)), strict=True
        )
        return {
            "schema": COMPARISON_SCHEMA,
            **({"profile": self.predicted.profile.settings} if self.predicted else {}),
            "models": [_model(*each) for each in described],
            "ratios": list(self.ratios),
            "by_kind": [_part("kind", part) for part in self.by_kind],
            "by_stage": [_part("stage", part) for part in self.by_stage],
            "layers": None if self.layers is None else [layer.layer_dict() for layer in self.layers],
            "own": None if self.own is None else self.own.as_dict(),
        }

    def records(self, which: str = "totals") -> list[dict[str, Any]]:
        """Return flat records: one a report (`totals`), one a report and `kind` or `stage`, or one a layer (`layers`).

        Raises:
            ComparisonError: layers of more than two reports.
            ChoiceError: unknown table.
        """
        return COMPARISON_TABLES[choose("table", which, COMPARISON_TABLES)](self)

    def frame(self, which: str = "totals") -> pd.DataFrame:
        """Return `records(which)` as a pandas DataFrame; counts that may be unknown are nullable integers.

        Raises:
            ComparisonError, ChoiceError: as for `records`.
        """
        return records.frame(self.records(which))


def compare(
    *models: Countable | Report,
    inputs: Sequence[Any] = (),
    fused: bool = False,
    convention: str | None = None,
    profile: AnyPath | Profile | None = None,
    accuracy: Accuracy | None = None,
    published: bool = False,
    **options: Any,
) -> Comparison:
    """Compare two or more networks with the first of them.

    Args:
        models: reports, or anything that `mbanalyze.count` takes.
        inputs: the inputs of every network but reports and known architectures.
        fused: merge batch norms and activations into the product before them, as `Report.fused` does.
        convention: count macs as another counter does, such as `thop`. A report needs what the convention counts,
            as for `Report.under`.
        profile: the speed of a machine, made by `mbanalyze calibrate`: adds the predicted times. Models are then
            counted in its element type.
        accuracy: your own accuracy, instead of the published one, in a CSV file or a frame, as for `ablate`.
        published: show published accuracy where `accuracy` has none.
        options: options of `count` for every model but reports, such as `trace=True`.

    Raises:
        ComparisonError: fewer than two models, models in a list, an input among them, or inputs that no model takes.
        OptionError: a flag is neither True nor False.
        ChoiceError: the convention is unknown.
        ConventionError: a report lacks what the convention counts.
        ProfileError, PredictionError, UnmeasuredError: the profile cannot be read, or does not predict a report.
        AccuracyError: the accuracy cannot be read, is malformed or contradicts itself.

    >>> both = compare("mobilenet_v2", "mobilenet_v2@alpha=0.75")
    >>> both.changes("macs"), both.by_kind[0].key
    ((0, -91704480), 'conv pointwise')
    """
    check_flags(fused=fused)
    _refuse_containers(models)
    if (inputs or "kwargs" in options) and all(map(_has_input, models)):
        raise ComparisonError(
            "no compared model takes an input shape: known networks have the options resolution and batch"
        )
    if published and accuracy is None:
        raise ComparisonError("published keeps published accuracy beside your own: give accuracy too")
    speed = None if profile is None else given_profile(profile)
    options = options if speed is None else {"dtype": speed.dtype, **options}
    reports = tuple(_report(model, inputs, options, convention) for model in models)
    if fused:
        reports = tuple(report.fused() for report in reports)
    predicted = (
        ComparedTimes(speed, tuple(time_of_report(report, speed) for report in reports)) if speed else None
    )
    if accuracy is None:
        return Comparison(reports, predicted=predicted)
    names = {name for report in reports for name in report.options}
    own = read_accuracy(accuracy, names, {report.model for report in reports})
    return Comparison(reports, *known_accuracies(reports, own, published=published), predicted=predicted)


def _refuse_containers(models: Sequence[object]) -> None:
    """Raise `ComparisonError` for a list of models, and for a shape, which `count` would take here."""
    for model in models:
        if is_shape(model):
            raise ComparisonError(f"give the inputs of the models by name: inputs=[{model}]")
        if isinstance(model, list | tuple):
            raise ComparisonError("give the models one by one: compare(*models) for a list")


def _has_input(model: Countable | Report) -> bool:
    """True for a report and for a known architecture."""
    if isinstance(model, Report):
        return True
    return bool(find(split_reference(model)[0]) if isinstance(model, str) else name_of(model))


def _report(
    model: Countable | Report, inputs: Sequence[Any], options: Mapping[str, Any], convention: str | None
) -> Report:
    if isinstance(model, Report):
        return model if convention is None else model.under(convention)
    if _has_input(model):
        inputs, options = (), {name: value for name, value in options.items() if name != "kwargs"}
    return count(model, *inputs, convention=convention, **options)


def _model(
    label: str, report: Report, totals: Mapping[str, Any], accuracy: KnownAccuracy, speed: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "label": label,
        "model": report.model,
        "options": {name: records.finite(value) for name, value in report.options.items()},
        "input": [list(shape) for shape in report.input],
        "method": report.method,
        "fused": report.is_fused,
        "convention": report.convention,
        "dtype": report.dtype,
        "complete": report.complete,
        "totals": totals,
        **speed,
        **_accuracy_columns(accuracy),
    }


def _accuracy_columns(accuracy: KnownAccuracy) -> dict[str, Any]:
    return {"top1": accuracy.top1, "accuracy_source": accuracy.source, **accuracy.metrics}


def _part(key: str, part: Part) -> dict[str, Any]:
    return {key: part.key, "counts": part.counts_by_report(), "changes": part.changes_by_report()}


def _total_records(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "model": label,
            **totals,
            **{f"{name}_ratio": ratio for name, ratio in ratios.items()},
            **speed,
            **_accuracy_columns(accuracy),
            **column,
        }
        for label, totals, ratios, speed, accuracy, column in zip(
            comparison.labels,
            comparison.totals,
            comparison.ratios,
            _speed_columns(comparison),
            comparison.accuracies,
            _convention_columns(comparison),
            strict=True,
        )
    ]


def _part_records(comparison: Comparison, key: str, parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [
        {
            key: part.key,
            "model": label,
            **counts,
            **{f"{name}_change": n for name, n in changes.items()},
            **column,
        }
        for part in parts
        for label, counts, changes, column in zip(
            comparison.labels,
            part.counts_by_report(),
            part.changes_by_report(),
            _convention_columns(comparison),
            strict=True,
        )
    ]


def _layer_records(comparison: Comparison) -> list[dict[str, Any]]:
    if comparison.layers is None:
        raise ComparisonError(f"only two reports have aligned layers, not {len(comparison.reports)}")
    sides = zip(("before", "after"), _convention_columns(comparison), strict=True)
    columns = {f"{name}_{side}": label for side, column in sides for name, label in column.items()}
    return [{**layer.layer_record(), **columns} for layer in comparison.layers]


def _convention_columns(comparison: Comparison) -> list[dict[str, str]]:
    """The column that names the convention of each report; empty if all macs are ours."""
    reports = comparison.reports
    if not any(report.other_convention for report in reports):
        return [{} for _ in reports]
    return [{"convention": report.convention} for report in reports]


def _speed_columns(comparison: Comparison) -> list[dict[str, SpeedVerdict | None]]:
    """The column with the verdict on the predicted time of each report; empty without a profile."""
    return [{"speed": speed} if comparison.predicted else {} for speed in comparison.speeds]


COMPARISON_TABLES: dict[str, Callable[[Comparison], list[dict[str, Any]]]] = {
    "totals": _total_records,
    "kind": lambda comparison: _part_records(comparison, "kind", comparison.by_kind),
    "stage": lambda comparison: _part_records(comparison, "stage", comparison.by_stage),
    "layers": _layer_records,
}
"""The tables of flat records that a comparison has."""
