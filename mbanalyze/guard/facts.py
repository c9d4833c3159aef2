"""What a guarded model costs, layer by layer: as a report has it, and as a lock keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mbanalyze.comparison.alignment import AlignableLayer
from mbanalyze.guard.limits import COUNTS, UNUSED
from mbanalyze.guard.policy import Model
from mbanalyze.ops.cost import Count
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Group

Counts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """A module's own operators together.

    Attributes:
        path: of the module.
        kinds: of its operators, each once with its variant.
        output: shape of what the last one writes: '1x32x56x56'.
        counts: every total of it, or `COUNTS` alone from a lock; None where nothing of it could be counted.
    """

    path: str
    kinds: tuple[str, ...]
    output: str
    counts: Counts

    @property
    def kind(self) -> str:
        """Its kinds in one line."""
        return " + ".join(self.kinds)

    @property
    def alignable(self) -> AlignableLayer:
        """Itself, as alignment takes it; its place is the size of the image that it writes."""
        image = tuple(self.output.split("x")[2:])
        return AlignableLayer(
            self.path, self.kinds, image, (self.output, *(self.counts[name] for name in COUNTS))
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model costs, and how that was found.

    Attributes:
        source, options: what was counted.
        method: `closed-form` or `trace`, with the settings that are not the usual ones.
        input: shapes, each as '1x3x224x224'.
        dtype: what an element is taken to be where bytes are meant.
        totals: every total of a report, or `COUNTS` alone from a lock; and `UNUSED` of both.
        layers: in the natural order of their paths.
    """

    source: str
    options: Mapping[str, Any]
    method: str
    input: tuple[str, ...]
    dtype: str
    totals: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @property
    def how(self) -> dict[str, Any]:
        """What has to be the same for two of these to be comparable, by name."""
        return {"input": " ".join(self.input), "dtype": self.dtype, "method": self.method}


def facts(model: Model, report: Report, unused: Count) -> Facts:
    """What a report says of a model, which has so many params that its forward never reads."""
    extra = [name for name in ("real", "keep") if model.settings.get(name)]
    extra += ["train"] * (model.settings.get("mode") == "train")
    layers = (_layer(group, report.itemsize) for group in report.by("module"))
    return Facts(
        model.source,
        json.loads(json.dumps(dict(report.options), default=str)),
        " ".join([report.method, *extra]),
        tuple("x".join(map(str, shape)) for shape in report.input),
        report.dtype,
        report.totals.as_dict(report.itemsize) | {UNUSED: unused},
        tuple(sorted(layers, key=lambda layer: natural(layer.path))),
    )


def _layer(group: Group, itemsize: int) -> Layer:
    output = " ".join("x".join(map(str, shape)) for shape in group.output)
    return Layer(group.key, group.kinds, output, group.cost.as_dict(itemsize))


def totals_of(layers: Sequence[Layer]) -> dict[str, Count]:
    """Each of `COUNTS` of all layers together, as a report adds them up: what is not known is skipped."""
    return {name: _sum([layer.counts[name] for layer in layers]) for name in COUNTS}


def _sum(counts: Sequence[Count]) -> Count:
    known = [count for count in counts if count is not None]
    return sum(known) if known or not counts else None


def natural(path: str) -> tuple[Any, ...]:
    """A key that sorts 'features.10' behind 'features.9', and a module before those inside."""
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in path.split(".") if path]
    return tuple(parts), path
