"""The cost of a guarded model in total and by layer, as a report states it and as a lock records it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mbanalyze.comparison.alignment import AlignableLayer
from mbanalyze.comparison.compared_times import ms_of_parts
from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.display.records import shape
from mbanalyze.guard.limits import LOCKED_METRICS, UNUSED_PARAMS
from mbanalyze.guard.memory_peaks import Peak, peaks_of
from mbanalyze.guard.policy import GuardedModel
from mbanalyze.inputs.input_text import has_values
from mbanalyze.ops.cost import Count
from mbanalyze.profiles.predicted_time import PredictedTime
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Group

Counts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The operators of one module, without those of its submodules.

    Attributes:
        path: path of the module.
        kinds: kinds of its operators, each once and with its variant.
        output: shape of the last output: '1x32x56x56'.
        counts: counts by metric; only `LOCKED_METRICS` if they come from a lock. None is unknown.
    """

    path: str
    kinds: tuple[str, ...]
    output: str
    counts: Counts

    @property
    def kind(self) -> str:
        """All kinds in one line."""
        return " + ".join(self.kinds)

    @property
    def alignable(self) -> AlignableLayer:
        """The layer as alignment takes it; its place is the size of its output image."""
        image = tuple(self.output.split("x")[2:])
        counts = (self.counts[metric] for metric in LOCKED_METRICS)
        return AlignableLayer(self.path, self.kinds, image, (self.output, *counts))


@dataclass(frozen=True, slots=True)
class Measurement:
    """The cost of a model, and the conditions of the count.

    Attributes:
        source: model reference.
        options: options of the architecture, or arguments of the factory.
        method: `closed-form`, `trace` or `file`, followed by settings that differ from the defaults.
        input: input shapes, '1x3x224x224', and the texts of inputs with values, 'scale=0.5'.
        dtype: element type assumed for byte counts.
        totals: totals by metric; only `GROWTH_METRICS` if they come from a lock.
        layers: layers in the natural order of their paths.
        peaks: peaks of memory by the metric of their bytes.
    """

    source: str
    options: Mapping[str, Any]
    method: str
    input: tuple[str, ...]
    dtype: str
    totals: Mapping[str, Any]
    layers: tuple[LayerCost, ...]
    peaks: Mapping[str, Peak] = field(default_factory=dict)

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions that two comparable measurements share, by name."""
        return {"input": " ".join(self.input), "dtype": self.dtype, "method": self.method}

    @classmethod
    def from_report(
        cls, model: GuardedModel, report: Report, unused_params: Count, time: PredictedTime | None = None
    ) -> Measurement:
        """Return the measurement that a report of a model states.

        Args:
            model: guarded model.
            report: report of the model.
            unused_params: number of learned scalars that the forward pass never reads; None is unknown.
            time: predicted time of the report; None is unknown.
        """
        extra = ["real"] * report.real + ["keep"] * bool(model.settings.get("keep"))
        extra += ["train"] * (model.settings.get("mode") == "train")
        groups = report.by("module")
        times = _layer_times(time, groups)
        layers = [_layer_cost(group, report.itemsize, ms) for group, ms in zip(groups, times, strict=True)]
        return cls(
            model.source,
            json.loads(json.dumps(dict(report.options), default=str)),
            " ".join([report.method, *extra]),
            (*map(shape, report.input), *filter(has_values, model.inputs)),
            report.dtype,
            report.total_counts() | {UNUSED_PARAMS: unused_params, PREDICTED_MS: total_ms(time)},
            tuple(sorted(layers, key=lambda layer: natural_key(layer.path))),
            peaks_of(report),
        )


def total_ms(time: PredictedTime | None) -> float | None:
    """Return a predicted time in milliseconds; None if it is unknown."""
    return None if time is None else time.total.predicted_ms


def _layer_times(time: PredictedTime | None, groups: Sequence[Group]) -> list[float | None]:
    """The time of each group in milliseconds; None if it is unknown."""
    if time is None:
        return [None] * len(groups)
    return [*ms_of_parts(time, [group.rows for group in groups])]


def _layer_cost(group: Group, itemsize: int, milliseconds: float | None) -> LayerCost:
    output = " ".join("x".join(map(str, shape)) for shape in group.output)
    counts = {**group.cost.as_dict(itemsize), PREDICTED_MS: milliseconds}
    return LayerCost(group.key, group.kinds, output, counts)


def sum_of_layers(layers: Sequence[LayerCost]) -> dict[str, Count]:
    """Return the sum of all layers for each of `LOCKED_METRICS`; like a report, it skips unknown counts."""
    return {metric: _sum([layer.counts[metric] for layer in layers]) for metric in LOCKED_METRICS}


def _sum(counts: Sequence[Count]) -> Count:
    known = [count for count in counts if count is not None]
    return sum(known) if known or not counts else None


def natural_key(path: str) -> tuple[Any, ...]:
    """Return a sort key that places 'features.10' after 'features.9', and a module before its submodules."""
    parts = (
        (0, int(part), "") if _INDEX.fullmatch(part) else (1, 0, part) for part in path.split(".") if path
    )
    return tuple(parts), path


_INDEX = re.compile("[0-9]{1,18}")
