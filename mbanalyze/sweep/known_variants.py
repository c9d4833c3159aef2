"""Count every variant of an architecture over a grid of options, with the published figures of each variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.archs import ARCHS, find, name_of
from mbanalyze.archs.options import MAX_VALUE, Architecture, merge, validate_values
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides
from mbanalyze.inputs.typed import Sizes, is_whole
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.closed_form import GridCounts, count_grid
from mbanalyze.sweep.figure_columns import ShownFigures
from mbanalyze.sweep.grid import Grid, GridError, input_sizes, spelled, value_indices
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS, VariantIndex, has_source
from mbanalyze.sweep.traced import VariantError

if TYPE_CHECKING:
    import pandas as pd

Known = tuple[str, type[Architecture], Mapping[str, Any]]
"""The user's name for an architecture, its class, and the options that an alias or an instance sets."""


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
    known: Known, grid: Grid, dtype: str, figures: ShownFigures, *, skip_invalid: bool
) -> Ablation:
    """Return the ablation of an architecture; arguments and errors as for `ablate`."""
    import pandas as pd

    name, arch, fixed = known
    itemsize = ITEM_SIZES[choose("dtype", dtype, ITEM_SIZES)]
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
    counted = count_grid(arch, networks, sizes, **batch)
    if not (skip_invalid and counted.valid.any()):
        _check_valid(name, counted, given)
    valid = np.flatnonzero(counted.valid)
    shown = {option: values for option, values in networks.items() if option in given or option == "alpha"}
    columns = {option: values[valid] for option, values in _option_columns(shown, sizes, rhos).items()}
    totals = counted.cost().as_dict(itemsize)
    frame = pd.DataFrame({**columns, **batch, **totals}, index=valid, copy=False)
    network = next(known_name for known_name, known_arch in ARCHS.items() if known_arch is arch)
    made = _with_figures(frame, VariantIndex(network, networks, sizes), figures, batch)
    return replace(made, model=name, input=_input(made.variants, known))


def _with_figures(
    frame: pd.DataFrame, variants: VariantIndex, figures: ShownFigures, batch: Mapping[str, int]
) -> Ablation:
    """The ablation of valid variants, whose index in `frame` is that in `variants`, with their figures."""
    import pandas as pd

    found, use = figures.of(variants, **batch)
    rows = {index: row for index, row in found.items() if index in frame.index}
    metrics = [name for name in (use.own.metrics if use else ()) if name not in PUBLISHED_COLUMNS]
    known_figures = pd.DataFrame(list(rows.values()), list(rows), [*PUBLISHED_COLUMNS, *metrics])
    numbers: dict[Any, Any] = dict.fromkeys(["top1", "latency_ms", *metrics], float)
    frame = frame.join(known_figures.astype(numbers)).reset_index(drop=True)
    known_top1 = [(index, row) for index, row in rows.items() if row["top1"] is not None]
    accuracies = tuple((variants.spec(i), row["accuracy_source"], row["top1"]) for i, row in known_top1)
    return Ablation(frame, accuracies, use, any(figures.prefixes))


def _input(frame: pd.DataFrame, known: Known) -> tuple[Sizes, ...]:
    """The shape of the image that the first variant takes."""
    _, arch, implied = known
    usual: dict[str, Any] = {field.name: field.default for field in fields(arch)}
    first = usual | dict(implied) | dict(frame.iloc[0])
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
