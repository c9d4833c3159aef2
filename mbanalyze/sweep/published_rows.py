"""What is published of the variants of a grid: the figures and the accuracy beside our counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from functools import cache
from itertools import product
from typing import Any, cast

from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.literature.figures import Entry, entries
from mbanalyze.ops.record import Op
from mbanalyze.sweep.closed_form import Axes

PRINTED = ("published_macs", "published_params", "top1", "latency_ms", "device", "label", "source")
"""What a variant's columns hold: counts as they are printed, per cent, milliseconds and on what, how the source
calls the row where it has several of a network, and the source."""


def printed(
    arch: type[Architecture], networks: Axes, resolutions: Sequence[int], beginnings: Sequence[str] = ("",)
) -> dict[int, Entry]:
    """The printed row of each variant that has one, by its index in the grid; the resolution varies fastest.

    Where several sources print one, it is from the source that knows most of the grid's variants.

    Args:
        beginnings: what a source begins with, the preferred first.
    """
    rows: dict[int, Entry] = {}
    for beginning in beginnings:
        found = list(_rows(arch, networks, resolutions, beginning))
        known = Counter(source for _, source in {(i, e.source) for i, e in found if e.top1 is not None})
        found.sort(key=lambda row: -known[row[1].source])  # which keeps their order otherwise
        for index, entry in found:
            rows.setdefault(index, entry)
    return rows


OF_AN_IMAGE = ("published_macs", "latency_ms", "device")
"""Of these, what is printed of one image."""


def columns_of(entry: Entry, batch: int = 1) -> dict[str, Any]:
    """What a row of a frame says of a published variant; of one image only where it counts one."""
    values = (
        *(entry.macs or None, entry.params or None, entry.top1, entry.latency_ms),
        *(entry.device or None, entry.label or None, entry.source),
    )
    columns = dict(zip(PRINTED, values, strict=True))
    return columns if batch == 1 else columns | dict.fromkeys(OF_AN_IMAGE)


def preferred(variant: str) -> list[str]:
    """The sources of a network, those first that print the accuracy of most of its variants."""
    rows = [entry for entry in entries() if entry.variant == variant]
    known = Counter(source for _, source in {(e.spec, e.source) for e in rows if e.top1 is not None})
    return sorted(dict.fromkeys(entry.source for entry in rows), key=lambda source: -known[source])


def sources() -> tuple[str, ...]:
    """Every source, in the order of the data."""
    return tuple(dict.fromkeys(entry.source for entry in entries()))


def _rows(
    arch: type[Architecture], networks: Axes, resolutions: Sequence[int], source: str
) -> Iterator[tuple[int, Entry]]:
    """Every printed row that is about a variant, with the variant's index."""
    places = {name: {value: i for i, value in enumerate(values)} for name, values in networks.items()}
    sizes = {size: i for i, size in enumerate(resolutions)}
    for entry in entries():
        spec = entry.spec if entry.source.startswith(source) else None
        if type(spec) is not arch or spec.resolution not in sizes:
            continue
        for choice in _same_network(spec, networks):
            index = 0
            for name, values in networks.items():
                index = index * len(values) + places[name][choice[name]]
            yield index * len(sizes) + sizes[spec.resolution], entry


def _same_network(spec: Architecture, networks: Axes) -> Iterator[dict[str, Any]]:
    """The options of a grid that make the network of `spec`, whatever they are called."""
    arch, own = type(spec), asdict(spec)
    default = {declared.name: declared.default for declared in fields(spec)}
    candidates = {
        name: [own[name]] * (own[name] in values) if is_numeric(arch, name) else values
        for name, values in networks.items()
    }
    for values in product(*candidates.values()):
        choice = dict(zip(networks, values, strict=True))
        with suppress(OptionError):
            variant = arch(**{**default, **choice, "resolution": spec.resolution})
            if variant == spec or _ops(cast("Any", variant)) == _ops(cast("Any", spec)):
                yield choice


@cache
def _ops(spec: Architecture) -> list[Op]:
    """The operators on a small image, which tell networks apart as well as those on a large one."""
    return replace(spec, resolution=min(spec.resolution, 224)).ops()
