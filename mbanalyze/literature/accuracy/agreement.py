"""The sources of the accuracies in a result, and how far other sources of the same variants differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from mbanalyze.archs import name_of
from mbanalyze.archs.options import Architecture
from mbanalyze.literature.accuracy.ranked_sources import known_variants, published_accuracies


@dataclass(frozen=True, slots=True)
class OtherSource:
    """A source that publishes some of the same variants.

    Attributes:
        source: its name.
        variants: the number of variants that both sources have.
        mean, largest: the absolute difference of the top-1 accuracies, in points.
    """

    source: str
    variants: int
    mean: float
    largest: float


@dataclass(frozen=True, slots=True)
class AccuracySource:
    """A source of top-1 accuracies in a result.

    Attributes:
        model: the network.
        source: the source.
        variants: the number of variants in the result with this accuracy.
        publishes: the number of variants of the network that the source publishes; None for the user's table.
        others: the other sources of the same variants, most variants first.
    """

    model: str
    source: str
    variants: int
    publishes: int | None
    others: tuple[OtherSource, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the source as a JSON object."""
        return {**asdict(self), "others": [asdict(other) for other in self.others]}


Shown = tuple[Architecture, str, float]
"""A network, the source of its accuracy, and the accuracy in per cent."""


def accuracy_sources(shown: Iterable[Shown]) -> tuple[AccuracySource, ...]:
    """Return the sources of these accuracies, in order of appearance."""
    counts: dict[tuple[str, str], int] = {}
    differences: dict[tuple[str, str], dict[str, list[float]]] = {}
    for spec, source, top1 in shown:
        key = name_of(spec) or "", source
        counts[key] = counts.get(key, 0) + 1
        others = differences.setdefault(key, {})
        for entry in published_accuracies(spec):
            if entry.source != source and entry.top1 is not None:
                others.setdefault(entry.source, []).append(abs(entry.top1 - top1))
    return tuple(
        AccuracySource(
            model, source, count, known_variants(model).get(source), _others(differences[model, source])
        )
        for (model, source), count in counts.items()
    )


def _others(differences: dict[str, list[float]]) -> tuple[OtherSource, ...]:
    found = [
        OtherSource(source, len(given), round(sum(given) / len(given), 3), round(max(given), 3))
        for source, given in differences.items()
    ]
    return tuple(sorted(found, key=lambda other: (-other.variants, -other.largest)))
