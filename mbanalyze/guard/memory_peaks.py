"""The peaks of a model's memory: the operator that runs at each, and the layers whose tensors are in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mbanalyze.peak_memory.timeline import Lifetime, Timeline
from mbanalyze.report.accounts import PEAKS
from mbanalyze.report.network import Report


class LayerMemory(NamedTuple):
    """The tensors of one layer that are in memory.

    Attributes:
        path: path of the module that wrote them.
        kind: kinds of the operators that wrote them, or `input`.
        bytes: their bytes.
    """

    path: str
    kind: str
    bytes: int


class Peak(NamedTuple):
    """The first step at which a model needs the most memory.

    Attributes:
        path: path of the module whose operator runs, "" for the root.
        kind: kind of the operator.
        held: tensors in memory by layer, the largest first; empty if the peak comes from a lock.
    """

    path: str
    kind: str
    held: tuple[LayerMemory, ...] = ()


def peaks_of(report: Report) -> dict[str, Peak]:
    """Return the peak of each account that a report has, by the name of its total; none if nothing runs."""
    return {
        metric: _peak(report.timeline(account))
        for metric, account in PEAKS.items()
        if account in report.accounts and report.timeline(account).steps
    }


def _peak(timeline: Timeline) -> Peak:
    step = timeline.steps[timeline.peak]
    return Peak(step.path, step.kind, tuple(_by_layer(timeline.alive(timeline.peak))))


def _by_layer(tensors: Iterable[Lifetime]) -> list[LayerMemory]:
    """The sum of the tensors of each layer, the largest first."""
    layers: dict[str, list[Lifetime]] = {}
    for tensor in tensors:
        layers.setdefault(tensor.path, []).append(tensor)
    held = [
        LayerMemory(
            path, " + ".join(dict.fromkeys(each.kind for each in some)), sum(each.bytes for each in some)
        )
        for path, some in layers.items()
    ]
    return sorted(held, key=lambda each: -each.bytes)
