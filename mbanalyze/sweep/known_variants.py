"""Count every variant of an architecture over a grid of options, with the published figures of each variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import numpy as np

from mbanalyze.archs import ARCHS, find, name_of
from mbanalyze.archs.options import MAX_VALUE, Architecture, merge, validate_values
from mbanalyze.conventions.convention import Convention
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides
from mbanalyze.inputs.typed import Sizes, is_whole
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.arrays import Array
from mbanalyze.sweep.closed_form import GridCounts, count_grid
from mbanalyze.sweep.convention_macs import Trace, traced_macs
from mbanalyze.sweep.figure_columns import ShownFigures
from mbanalyze.sweep.grid import Grid, GridError, input_sizes, spelled, value_indices
from mbanalyze.sweep.plain_columns import Columns, take
from mbanalyze.sweep.predicted_columns import time_columns
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS, VariantIndex, has_source
from mbanalyze.sweep.traced import VariantError

Known = tuple[str, type[Architecture], Mapping[str, Any]]
"""The user's name for an architecture, its class, and the options that an alias or an instance sets."""


class Counts(NamedTuple):
    """The way in which the variants of an architecture are counted.

    Attributes:
        dtype: the element type for byte counts.
        convention: the convention of the macs; None for ours.
        trace: counts variants of a convention that needs a trace.
        profile: the machine whose time is predicted; None for no time.
    """

    dtype: str
    convention: Convention | None
    trace: Trace
    profile: Profile | None = None

    @property
    def traced(self) -> Convention | None:
        """The convention if it needs a trace."""
        return self.convention if self.convention and self.convention.needs_trace else None

    @property
    def untraced(self) -> Convention | None:
        """The convention if it counts closed forms."""
        return None if self.traced else self.convention


def known_architecture(what: Any, grid: Grid) -> Known | None:
    """Return the architecture that `what` names, or None for a factory.

    Raises:
        OptionError: an alias contradicts the grid.
    """
    if found := find(what):
        arch, implied = found
        merge(
            what, implied, {name: values[0] if len(values) == 1 else values for name, values in grid.items()}
        )
        return what, arch, implied
    if name := name_of(what):
        return name, type(what), asdict(what)
    return next(((name, arch, {}) for name, arch in ARCHS.items() if arch is what), None)


def ablate_known(
    known: Known,
    grid: Grid,
    counts: Counts,
    figures: ShownFigures,
    *,
    skip_invalid: bool,
) -> Ablation:
    """Return the ablation of an architecture; arguments and errors as for `ablate`."""
    name, arch, fixed = known
    itemsize = ITEM_SIZES[choose("dtype", counts.dtype, ITEM_SIZES)]
    _check_sources(figures.prefixes)
    batch = {"batch": _batch(grid["batch"])} if "batch" in grid else {}
    defaults: dict[str, Any] = {**{field.name: field.default for field in fields(arch)}, **fixed}
    default = defaults.pop("resolution")
    sizes, rhos = input_sizes(grid, lambda: default)
    sizes = validate_values(name, arch, "resolution", sizes or [default], drop=skip_invalid)
    given = {
        option: validate_values(name, arch, option, values, drop=skip_invalid)
        for option, values in grid.items()
        if option not in ("rho", "resolution", "batch")
    }
    networks = {option: given.get(option, [value]) for option, value in defaults.items()}
    counted = count_grid(arch, networks, sizes, itemsize=itemsize, convention=counts.untraced, **batch)
    if not (skip_invalid and counted.valid.any()):
        _check_valid(name, counted, given)
    shown = {option: values for option, values in networks.items() if option in given or option == "alpha"}
    options = {**_option_columns(shown, sizes, rhos), **batch}
    valid = counted.valid.ravel()
    columns = take({name: np.broadcast_to(column, valid.shape) for name, column in options.items()}, valid)
    totals = {**counted.cost().as_dict(itemsize), **counted.peaks()}
    network = next(known_name for known_name, known_arch in ARCHS.items() if known_arch is arch)
    variants = VariantIndex(network, networks, sizes)
    if counts.traced or counts.profile:
        specs = [variants.spec(int(index)) for index in np.flatnonzero(valid)]
    if counts.traced:
        totals["macs"] = traced_macs(specs, batch, counts.traced, counts.trace)
    if counts.profile:
        images = batch.get("batch", 1)
        totals |= time_columns((spec.ops(images) for spec in specs), counts.profile)
    made = _with_figures({**columns, **totals}, valid, variants, figures, batch)
    return replace(made, model=name, input=_input(columns, known))


def _with_figures(
    columns: Mapping[str, Any],
    valid: Array,
    variants: VariantIndex,
    figures: ShownFigures,
    batch: Mapping[str, int],
) -> Ablation:
    """The ablation of valid variants with their figures; `valid` is a mask of all `variants`."""
    found, use = figures.of(variants, **batch)
    rows = {index: row for index, row in found.items() if valid[index]}
    metrics = [name for name in (use.own.metrics if use else ()) if name not in PUBLISHED_COLUMNS]
    numbers = ("top1", "latency_ms", *metrics)
    at = (np.cumsum(valid) - 1)[list(rows)]
    more = {}
    for name in [*PUBLISHED_COLUMNS, *metrics]:
        more[name] = np.full(len(columns["params"]), np.nan, float if name in numbers else object)
        more[name][at] = [row.get(name) for row in rows.values()]
    known_top1 = [(index, row) for index, row in rows.items() if row["top1"] is not None]
    accuracies = tuple((variants.spec(i), row["accuracy_source"], row["top1"]) for i, row in known_top1)
    return Ablation({**columns, **more}, accuracies, use, any(figures.prefixes))


def _input(columns: Columns, known: Known) -> tuple[Sizes, ...]:
    """The shape of the image that the first variant takes."""
    _, arch, implied = known
    usual: dict[str, Any] = {field.name: field.default for field in fields(arch)}
    first = usual | dict(implied) | {name: column[0] for name, column in columns.items()}
    return (
        (int(first.get("batch", 1)), int(first["in_channels"]), *sides(as_resolution(first["resolution"]))),
    )


def _check_sources(prefixes: Sequence[str]) -> None:
    for prefix in prefixes:
        if not has_source(prefix):
            raise GridError(f"no source starts with {prefix!r}: 'mbanalyze published' lists the sources")


def _check_valid(name: str, counted: GridCounts, given: Grid) -> None:
    """Raise `VariantError` for the first variant that makes no network."""
    for invalid in counted.invalid:
        shown = {o: v for o, v in invalid.options.items() if o in given or o in ("alpha", "resolution")}
        raise VariantError(f"{spell_reference(name, shown)}: {invalid.reason}")


def _batch(values: list[Any]) -> int:
    """The batch of a grid, which has one value."""
    if len(values) > 1 or not is_whole(values[0]) or not 1 <= values[0] <= MAX_VALUE:
        raise GridError(f"batch must be one whole number from 1 to {MAX_VALUE}")
    return int(values[0])


def _option_columns(
    networks: Grid, sizes: Sequence[Resolution], rhos: Sequence[float] | None
) -> dict[str, Any]:
    """The columns of the options: every combination at every resolution."""
    columns = {
        option: np.repeat(np.asarray(values)[at], len(sizes))
        for (option, values), at in zip(networks.items(), value_indices(networks), strict=True)
    }
    count = math.prod(map(len, networks.values()))
    rho = {} if rhos is None else {"rho": np.tile(np.asarray(rhos, dtype=float), count)}
    images = list(map(spelled, sizes))
    kind = object if any(isinstance(image, str) for image in images) else int
    return columns | rho | {"resolution": np.tile(np.array(images, dtype=kind), count)}
