"""The values of each option, and the variants that their combinations make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from math import prod
from typing import Any

import numpy as np

from mbanalyze.archs.options import MAX_VALUE
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides, spell_resolution
from mbanalyze.inputs.typed import InputError
from mbanalyze.sweep.arrays import Array

Grid = Mapping[str, list[Any]]
"""The values of each option, by its name."""

MAX_VARIANTS = 10**7
"""The largest number of variants in a grid; each takes about 200 bytes."""


class GridError(ValueError):
    """A grid without variants, with too many, or with contradicting options."""


def parse_grid(options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the list of values of each option.

    Raises:
        GridError: an option has no values or one value twice, or the grid exceeds `MAX_VARIANTS`.
    """
    grid = {name: option_values(name, given) for name, given in options.items()}
    if (variants := prod(map(len, grid.values()))) > MAX_VARIANTS:
        raise GridError(f"{variants:,} variants exceed the limit of {MAX_VARIANTS:,}: give fewer values")
    return grid


def option_values(name: str, given: Any) -> list[Any]:
    """Return the values of an option, from one value or from a list, tuple, range or array.

    Raises:
        GridError: there are no values, or a value occurs twice.
    """
    values = given.tolist() if hasattr(given, "tolist") else given
    values = list(values) if isinstance(values, list | tuple | range) else [values]
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not values:
        raise GridError(f"{name} has no values")
    keys = _keys(list(map(spelled, values)) if name == "resolution" else values)
    if len(set(keys)) < len(keys):
        raise GridError(f"{name} has {next(key for i, key in enumerate(keys) if key in keys[:i])} twice")
    return values


def _keys(values: list[Any]) -> list[Any]:
    """Hashable stand-ins for the values: the values themselves, or their spellings."""
    try:
        set(values)
    except TypeError:
        return list(map(repr, values))
    return values


def spelled(resolution: Any) -> Any:
    """Return a resolution as frames show it: an integer if it is square, else text such as `160x224`.

    Other values, which a factory may take, are returned unchanged.
    """
    try:
        return spell_resolution(as_resolution(resolution))
    except InputError:
        return resolution


def input_sizes(grid: Grid, default: Callable[[], Resolution]) -> tuple[list[Any] | None, list[Any] | None]:
    """Return the resolutions and rhos of a grid; None if it has none.

    Args:
        grid: the values of each option.
        default: returns the resolution that a rho is a fraction of; called only if there are rhos.

    Raises:
        GridError: both options are given, or a rho is invalid.
    """
    rhos, sizes = grid.get("rho"), grid.get("resolution")
    if rhos is None:
        return sizes, None
    if sizes is not None:
        raise GridError("rho and resolution both set the input size: give one of them")
    return resolutions(rhos, default()), rhos


def resolutions(rhos: Sequence[float], default: Resolution) -> list[Resolution]:
    """Return `round(rho * default)` for each rho, side by side; halves round up.

    >>> resolutions([1, 0.857, 0.714, 0.571], 224), resolutions([1, 0.5], (160, 224))
    ([224, 192, 160, 128], [(160, 224), (80, 112)])

    Raises:
        GridError: a rho is not a positive number, or two make the same resolution.
    """
    found: dict[Resolution, float] = {}
    for rho in rhos:
        if isinstance(rho, bool) or not isinstance(rho, int | float) or not 0 < rho <= MAX_VALUE:
            raise GridError(f"rho must be a number above 0, not {rho!r}")
        scaled = [_scaled(rho, side) for side in sides(default)]
        if not all(scaled):
            raise GridError(f"rho {rho} of {spell_resolution(default)} px rounds to 0 px: give a larger rho")
        height, width = scaled
        size = height if height == width else (height, width)
        if size in found:
            raise GridError(f"rho {found[size]} and {rho} both make {spell_resolution(size)} px")
        found[size] = rho
    return list(found)


def _scaled(rho: float, side: int) -> int:
    return int((Decimal(str(rho)) * side).quantize(Decimal(1), ROUND_HALF_UP))


def combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    """Yield every combination of one value for each option; the last option varies fastest."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def value_indices(grid: Grid) -> Array:
    """Return the index of each option's value in every combination: [options, combinations]."""
    lengths = [len(values) for values in grid.values()]
    return np.indices(lengths).reshape(len(grid), prod(lengths))
