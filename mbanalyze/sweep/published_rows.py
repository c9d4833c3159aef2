"""Find the published figures and accuracy of each variant of a grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import cache
from typing import Any, cast

from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.inputs.resolution import Resolution, sides
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.ops.record import Op
from mbanalyze.sweep.grid import Grid, combinations

PUBLISHED_COLUMNS = ("published_macs", "published_params", "top1", "latency_ms", "device", "label", "source")
"""Columns of a published variant: printed counts, per cent, milliseconds, the device, the row's label, the source."""
PER_IMAGE_COLUMNS = ("published_macs", "latency_ms", "device")
"""Published columns that hold for a batch of one image only."""


def published_entries(
    arch: type[Architecture],
    networks: Grid,
    resolutions: Sequence[Resolution],
    prefixes: Sequence[str] = ("",),
) -> dict[int, Entry]:
    """Return the published row of each variant that has one, by its index in the grid.

    The resolution varies fastest in the grid.
    If several sources publish a variant, the one with an accuracy for the most variants of the grid is used.

    Args:
        arch: the architecture.
        networks: the values of each option except the resolution.
        resolutions: the input sizes, in pixels: a side, or a height and width.
        prefixes: the allowed beginnings of a source, in order of preference.
    """
    rows: dict[int, Entry] = {}
    for prefix in prefixes:
        found = list(_matching_rows(arch, networks, resolutions, prefix))
        known = Counter(source for _, source in {(i, e.source) for i, e in found if e.top1 is not None})
        found.sort(key=lambda row: -known[row[1].source])  # stable: ties keep the order of the data
        for index, entry in found:
            rows.setdefault(index, entry)
    return rows


def entry_columns(entry: Entry, batch: int = 1) -> dict[str, Any]:
    """Return the columns of a published variant, without the `PER_IMAGE_COLUMNS` if `batch` is above 1."""
    values = (
        *(entry.macs or None, entry.params or None, entry.top1, entry.latency_ms),
        *(entry.device or None, entry.label or None, entry.source),
    )
    columns = dict(zip(PUBLISHED_COLUMNS, values, strict=True))
    return columns if batch == 1 else columns | dict.fromkeys(PER_IMAGE_COLUMNS)


def ranked_sources(variant: str) -> list[str]:
    """Return the sources of a network, those with an accuracy for the most variants first."""
    rows = [entry for entry in entries() if entry.variant == variant]
    known = Counter(source for _, source in {(e.spec, e.source) for e in rows if e.top1 is not None})
    return sorted(dict.fromkeys(entry.source for entry in rows), key=lambda source: -known[source])


def has_source(prefix: str) -> bool:
    """Return True if the name of any source starts with `prefix`."""
    return any(entry.source.startswith(prefix) for entry in entries())


def _matching_rows(
    arch: type[Architecture], networks: Grid, resolutions: Sequence[Resolution], prefix: str
) -> Iterator[tuple[int, Entry]]:
    """Every published row of a variant in the grid, with the variant's index."""
    positions = {name: {value: i for i, value in enumerate(values)} for name, values in networks.items()}
    sizes = {size: i for i, size in enumerate(resolutions)}
    for entry in entries():
        spec = entry.spec if entry.source.startswith(prefix) else None
        if type(spec) is not arch or spec.resolution not in sizes:
            continue
        for choice in _equivalent_options(spec, networks):
            index = 0
            for name, values in networks.items():
                index = index * len(values) + positions[name][choice[name]]
            yield index * len(sizes) + sizes[spec.resolution], entry


def _equivalent_options(spec: Architecture, networks: Grid) -> Iterator[dict[str, Any]]:
    """Every combination of options in the grid that makes the same network as `spec`."""
    arch, own = type(spec), asdict(spec)
    default = {declared.name: declared.default for declared in fields(spec)}
    candidates = {
        name: [own[name]] * (own[name] in values) if is_numeric(arch, name) else values
        for name, values in networks.items()
    }
    for choice in combinations(candidates):
        with suppress(OptionError):
            variant = arch(**{**default, **choice, "resolution": spec.resolution})
            if variant == spec or _ops(cast("Any", variant)) == _ops(cast("Any", spec)):
                yield choice


@cache
def _ops(spec: Architecture) -> list[Op]:
    """The operators on a small image, which suffice to compare networks."""
    return replace(spec, resolution=min(*sides(spec.resolution), 224)).ops()
