"""Find the published figures and accuracy of each variant of a grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.literature.accuracy.ranked_sources import ranked_sources, same_network
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.sweep.grid import Grid, combinations

PUBLISHED_COLUMNS = (
    *("published_macs", "published_params", "top1", "latency_ms", "device", "label", "source"),
    "accuracy_source",
)
"""Columns of a variant with figures: printed counts, per cent, milliseconds, the device, the row's label, and sources."""
PER_IMAGE_COLUMNS = ("published_macs", "latency_ms", "device")
"""Published columns that hold for a batch of one image only."""


class VariantIndex:
    """The variants of a grid, to look up by network; the resolution varies fastest."""

    def __init__(self, network: str, networks: Grid, resolutions: Sequence[Any]) -> None:
        """Index the grid of an architecture.

        Args:
            network: the architecture's name.
            networks: the values of each option except the resolution.
            resolutions: the input sizes, in pixels.
        """
        self.network, self._arch = network, ARCHS[network]
        self._networks, self._resolutions = dict(networks), resolutions
        self._positions = {name: _positions(values) for name, values in networks.items()}
        self._sizes = _positions(resolutions)

    @property
    def fixed(self) -> dict[str, Any]:
        """The options that have one value in the grid."""
        values = {**self._networks, "resolution": self._resolutions}
        return {name: values[name][0] for name in values if len(values[name]) == 1}

    def of(self, spec: Architecture) -> Iterator[int]:
        """Yield the index of every variant that makes the same network as `spec`."""
        if type(spec) is not self._arch or spec.resolution not in self._sizes:
            return
        own = asdict(spec)
        candidates = {
            name: [own[name]] * (_key(own[name]) in self._positions[name])
            if is_numeric(self._arch, name)
            else values
            for name, values in self._networks.items()
        }
        for choice in combinations(candidates):
            if choice.items() <= own.items() or self._makes(choice, spec):
                yield self._index(choice) * len(self._sizes) + self._sizes[spec.resolution]

    def spec(self, index: int) -> Architecture:
        """Return the network of a variant."""
        index, size = divmod(index, len(self._sizes))
        options: dict[str, Any] = {"resolution": self._resolutions[size]}
        for name, values in reversed(self._networks.items()):
            index, at = divmod(index, len(values))
            options[name] = values[at]
        return self._arch(**options)

    def _makes(self, choice: Mapping[str, Any], spec: Architecture) -> bool:
        """True if these options make the same network as `spec`."""
        default = {declared.name: declared.default for declared in fields(spec)}
        with suppress(OptionError):
            return same_network(self._arch(**{**default, **choice, "resolution": spec.resolution}), spec)
        return False

    def _index(self, choice: Mapping[str, Any]) -> int:
        index = 0
        for name, values in self._networks.items():
            index = index * len(values) + self._positions[name][_key(choice[name])]
        return index


def _positions(values: Sequence[Any]) -> dict[Any, int]:
    return {_key(value): i for i, value in enumerate(values)}


def _key(value: Any) -> Any:
    """A value, or a float without the error of arithmetic such as 0.1 + 0.2."""
    return round(value, 9) if isinstance(value, float) else value


def published_entries(variants: VariantIndex, prefixes: Sequence[str]) -> dict[int, Entry]:
    """Return the published row of each variant that has one, by its index in the grid.

    If several sources publish a variant, the first of `ranked_sources` is used, whatever the grid is.

    Args:
        variants: the grid.
        prefixes: the allowed beginnings of a source, in order of preference.
    """
    found: dict[str, list[Entry]] = {}
    for entry in entries():
        if entry.variant == variants.network:
            found.setdefault(entry.source, []).append(entry)
    rows: dict[int, Entry] = {}
    for source in ranked_sources(variants.network, prefixes):
        for entry in found[source]:
            for index in variants.of(entry.spec) if entry.spec else ():
                rows.setdefault(index, entry)
    return rows


def entry_columns(entry: Entry, batch: int = 1) -> dict[str, Any]:
    """Return the columns of a published variant, without the `PER_IMAGE_COLUMNS` if `batch` is above 1."""
    values = (
        *(entry.macs or None, entry.params or None, entry.top1, entry.latency_ms),
        *(entry.device or None, entry.label or None, entry.source),
        None if entry.top1 is None else entry.source,
    )
    columns = dict(zip(PUBLISHED_COLUMNS, values, strict=True))
    return columns if batch == 1 else columns | dict.fromkeys(PER_IMAGE_COLUMNS)


def has_source(prefix: str) -> bool:
    """Return True if the name of any source starts with `prefix`."""
    return any(entry.source.startswith(prefix) for entry in entries())
