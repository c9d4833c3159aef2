"""The accuracy of each compared network: published, or the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mbanalyze.archs import find, name_of
from mbanalyze.archs.options import Architecture, OptionError, make
from mbanalyze.literature.accuracy.matching import OwnUse, combine, matching_variants, specs
from mbanalyze.literature.accuracy.own_table import MeasuredRow, OwnAccuracy
from mbanalyze.literature.accuracy.ranked_sources import published_accuracies, same_network
from mbanalyze.report.network import Report


@dataclass(frozen=True, slots=True)
class KnownAccuracy:
    """The accuracy of a network.

    Attributes:
        top1: in per cent; None if unknown.
        source: the source of `top1`; None if it is unknown.
        metrics: the other metrics of the user's table; None for one that it does not state.
    """

    top1: float | None = None
    source: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)


def known_accuracies(
    reports: Sequence[Report], own: OwnAccuracy | None, *, published: bool
) -> tuple[tuple[KnownAccuracy, ...], OwnUse | None]:
    """Return the accuracy of each report, and the use of the user's table.

    Args:
        reports: the reports.
        own: the user's accuracy, which takes the place of the published one.
        published: use published accuracy where the table has none.

    Raises:
        AccuracyError: a row of the table is invalid, or two rows contradict each other.
    """
    found = [_spec(report) for report in reports]
    if own is None:
        return tuple(_published(spec) for spec in found), None
    if len({report.model for report in reports}) > 1:
        own.require_models("several models are compared")
    matches = list(_matches(reports, found, own))
    values = combine(own, matches)
    keep = published or "top1" not in own.metrics
    accuracies = tuple(
        _own(own, values.get(i, {}), _published(spec) if keep else KnownAccuracy())
        for i, spec in enumerate(found)
    )
    return accuracies, OwnUse(own, frozenset(row.place for _, row in matches), published)


def _spec(report: Report) -> Architecture | None:
    """The network of a known architecture's report."""
    if (known := find(report.model)) is None:
        return None
    try:
        return make(report.model, known[0], report.options)
    except OptionError:
        return None


def _published(spec: Architecture | None) -> KnownAccuracy:
    entry = next(iter(published_accuracies(spec) if spec else ()), None)
    return KnownAccuracy(entry.top1, entry.source) if entry else KnownAccuracy()


def _own(own: OwnAccuracy, values: Mapping[str, float], otherwise: KnownAccuracy) -> KnownAccuracy:
    """The user's values, with another accuracy if `top1` is not among them."""
    metrics = {name: values.get(name) for name in own.metrics if name != "top1"}
    if "top1" in values:
        return KnownAccuracy(values["top1"], own.source, metrics)
    return KnownAccuracy(otherwise.top1, otherwise.source, metrics)


def _matches(
    reports: Sequence[Report], found: Sequence[Architecture | None], own: OwnAccuracy
) -> Iterator[tuple[int, MeasuredRow]]:
    """The index of each report and a row about it."""
    known = [(i, spec) for i, spec in enumerate(found) if spec is not None]
    for name in {name_of(spec) for _, spec in known}:
        mine = [(i, spec) for i, spec in known if spec is not None and name_of(spec) == name]
        for row, network in specs(own, str(name), _fixed([spec for _, spec in mine])):
            yield from ((i, row) for i, spec in mine if same_network(spec, network))
    others = [i for i, spec in enumerate(found) if spec is None]
    for name in {reports[i].model for i in others}:
        indices = [i for i in others if reports[i].model == name]
        for place, row in matching_variants(own, name, [reports[i].options for i in indices]):
            yield indices[place], row


def _fixed(networks: Sequence[Architecture]) -> dict[str, Any]:
    """The options with one value in all networks."""
    names = networks[0].__dataclass_fields__
    values = {name: {getattr(network, name) for network in networks} for name in names}
    return {name: next(iter(given)) for name, given in values.items() if len(given) == 1}
