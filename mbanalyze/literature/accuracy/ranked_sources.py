"""The published accuracies of a network, and the order in which its sources are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any, cast

from mbanalyze.archs import name_of
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.ops.record import Op


@cache
def known_variants(network: str) -> Counter[str]:
    """Return the number of variants of a network with an accuracy, by source."""
    rows = [entry for entry in entries() if entry.variant == network and entry.top1 is not None]
    return Counter(source for _, source in {(e.spec, e.source) for e in rows if e.spec is not None})


def ranked_sources(network: str, prefixes: Sequence[str] = ("",)) -> list[str]:
    """Return the sources of a network, those with an accuracy for the most variants of the network first.

    Args:
        network: the architecture.
        prefixes: the allowed beginnings of a source; those of an earlier one come first.
    """
    names = dict.fromkeys(entry.source for entry in entries() if entry.variant == network)
    known = known_variants(network)
    ranked = sorted(names, key=lambda source: -known[source])  # stable: ties keep the order of the data
    return list(dict.fromkeys(s for prefix in prefixes for s in ranked if s.startswith(prefix)))


def published_accuracies(spec: Architecture) -> list[Entry]:
    """Return the published row of each source with an accuracy of this network, in the order of the sources."""
    network = name_of(spec)
    if network is None:
        return []
    found: dict[str, Entry] = {}
    for entry in _accuracies(network, spec.resolution):
        if entry.spec is not None and same_network(entry.spec, spec):
            found.setdefault(entry.source, entry)
    return [found[source] for source in ranked_sources(network) if source in found]


@cache
def _accuracies(network: str, resolution: Any) -> list[Entry]:
    """The rows with an accuracy at this resolution."""
    rows = [entry for entry in entries() if entry.variant == network and entry.top1 is not None]
    return [entry for entry in rows if entry.spec is not None and entry.spec.resolution == resolution]


def same_network(first: Architecture, second: Architecture) -> bool:
    """Return True if two specs make the same network, perhaps with different options."""
    if type(first) is not type(second) or first.resolution != second.resolution:
        return False
    if first == second:
        return True
    if any(getattr(first, name) != getattr(second, name) for name in _numeric(type(first))):
        return False
    try:
        return _ops(replace(cast("Any", first), resolution=224)) == _ops(
            replace(cast("Any", second), resolution=224)
        )
    except (OptionError, ShapeError):
        return False


@cache
def _numeric(arch: type[Architecture]) -> list[str]:
    return [declared.name for declared in fields(arch) if is_numeric(arch, declared.name)]


@cache
def _ops(spec: Architecture) -> list[Op]:
    return spec.ops()
