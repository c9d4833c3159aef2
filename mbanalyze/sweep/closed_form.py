"""Count every variant of a grid in closed form, in few passes over the layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.conventions.convention import Convention, Record
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides, spell_resolution
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost
from mbanalyze.sweep import arrays
from mbanalyze.sweep.arrays import NETWORKS, RESOLUTIONS, Array, AxisArray
from mbanalyze.sweep.grid import Grid, value_indices
from mbanalyze.sweep.peak_grids import TIMELINES, largest, live_sums, peaks

MAX_SCALAR_VARIANTS = 16
"""Up to this number of variants, counting one by one is as fast as one pass with arrays."""
EXACT_TOTAL_LIMIT = 2**49
"""Below this limit, the sums, bytes and ratios of counts are exact in 64 bits and in floats."""

COST_FIELDS = Cost._fields
COUNTS = (*COST_FIELDS, *TIMELINES)


@dataclass(frozen=True, slots=True)
class InvalidVariants:
    """Variants that make no network.

    Attributes:
        options: the options of the first one.
        reason: the error that they raise.
    """

    options: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class GridCounts:
    """The counts of every variant of a grid.

    Attributes:
        counts: the fields of `Cost` and the peaks of `TIMELINES`, each [networks, resolutions]:
            int64, or Python integers beyond 64 bits.
        valid: booleans of the same shape, true for variants that make a network.
        invalid: the other variants, grouped by their first error.
    """

    counts: Mapping[str, Array]
    valid: Array
    invalid: tuple[InvalidVariants, ...]

    def cost(self) -> Cost:
        """Return the cost of all valid variants, with arrays [variants] as fields."""
        found = self._valid(COST_FIELDS)
        for name, counts in found.items():
            if counts.max(initial=0) >= EXACT_TOTAL_LIMIT:
                found[name] = counts.astype(object)
        return Cost(**found)

    def peaks(self) -> dict[str, Any]:
        """Return the peak memory of all valid variants by each account: [variants]."""
        return self._valid(TIMELINES)

    def _valid(self, names: Iterable[str]) -> dict[str, Any]:
        valid = slice(None) if self.valid.all() else self.valid.ravel()
        return {name: self.counts[name].ravel()[valid] for name in names}


def count_grid(
    arch: type[Architecture],
    networks: Grid,
    resolutions: Sequence[Resolution],
    *,
    batch: int = 1,
    itemsize: int = 4,
    convention: Convention | None = None,
) -> GridCounts:
    """Count `arch` with every combination of options, at every resolution.

    The count of a layer is a product: one factor depends on its channels, the other on its output positions.
    A network has few distinct numbers of positions: few products remain.

    Args:
        arch: the architecture.
        networks: the values of each option except the resolution.
        resolutions: the input sizes, in pixels: a side, or a height and width.
        batch: images in the input.
        itemsize: bytes of an element.
        convention: counts the macs, without a trace; None for our macs.
    """
    images = np.array(list(map(sides, resolutions))).T
    counter = _GridCounter(arch, networks, images, batch, itemsize, convention)
    indices = value_indices(networks)
    lengths = {i: len(networks[name]) for i, name in enumerate(networks) if not is_numeric(arch, name)}
    for choice in product(*map(range, lengths.values())):
        same = indices[list(lengths)] == np.array(choice, dtype=int)[:, None]
        chosen = np.flatnonzero(same.all(axis=0))
        counter.count(chosen, indices[:, chosen])
    return GridCounts(counter.counts, counter.valid, tuple(counter.invalid))


class _GridCounter:
    """Counts parts of a grid and collects the results.

    Attributes:
        counts, valid, invalid: as in `GridCounts`.
    """

    def __init__(
        self,
        arch: type[Architecture],
        networks: Grid,
        images: Array,
        batch: int,
        itemsize: int,
        convention: Convention | None,
    ) -> None:
        """Start with zero counts; `images` holds the heights and the widths: [2, resolutions]."""
        shape = (prod(map(len, networks.values())), images.shape[1])
        self.counts: dict[str, Any] = {name: np.zeros(shape, dtype=np.int64) for name in COUNTS}
        self.valid = np.ones(shape, dtype=bool)
        self.invalid: list[InvalidVariants] = []
        self._arch, self._batch, self._itemsize = arch, batch, itemsize
        self._networks, self._images, self._convention = networks, images, convention

    def count(self, networks: Array, indices: Array) -> None:
        """Count the given networks at all resolutions, and split them where conditions differ.

        Args:
            networks: their positions in the grid.
            indices: the index of each option's value: [options, networks].
        """
        parts = [(np.arange(len(networks)), np.arange(self._images.shape[1]))]
        while parts:
            rows, columns = parts.pop()
            part = networks[rows], indices[:, rows], columns
            try:
                if len(rows) * len(columns) <= max(MAX_SCALAR_VARIANTS, 1):
                    self._count_each(*part)
                else:
                    self._count_together(*part)
            except arrays.SplitError as error:
                parts += _split(rows, columns, error.axis, error.mask)
            except arrays.TooLargeError:
                axis = NETWORKS if len(rows) >= len(columns) else RESOLUTIONS
                parts += _split(rows, columns, axis, np.arange(max(len(rows), len(columns))) % 2 == 0)
            except (OptionError, ShapeError):
                self._mark_invalid(*part)

    def _count_together(self, networks: Array, indices: Array, resolutions: Array) -> None:
        """Count a part of the grid in one pass."""
        options = {
            name: AxisArray(np.asarray(values)[at], NETWORKS)
            if is_numeric(self._arch, name)
            else values[at[0]]
            for (name, values), at in zip(self._networks.items(), indices, strict=True)
        }
        height, width = (AxisArray(side[resolutions], RESOLUTIONS) for side in self._images)
        ops = self._ops(options, height if height.key == width.key else (height, width))
        counts, live = self._cost(ops)._asdict(), live_sums(ops, self._itemsize)
        where: tuple[Any, ...] = np.ix_(networks, resolutions)
        if _is_contiguous(networks) and _is_contiguous(resolutions):  # slices are faster to assign
            where = (slice(networks[0], networks[-1] + 1), slice(resolutions[0], resolutions[-1] + 1))
        for name, count in counts.items():
            if type(count) is not int or count:
                self._assign(name, where, arrays.to_grid(count))
        for name, sums in live.items():
            self._assign(name, where, largest(sums))

    def _assign(self, name: str, where: tuple[Any, ...], block: Array) -> None:
        counts = self.counts[name]
        counts[where] = block.astype(np.int64) if counts.dtype == object else block

    def _count_each(self, networks: Array, indices: Array, resolutions: Array) -> None:
        """Count a part of the grid one variant at a time."""
        for network, at in zip(networks, indices.T, strict=True):
            for i in resolutions:
                try:
                    ops = self._ops(self._options(at), self._resolution(i))
                except (OptionError, ShapeError):
                    self._mark_invalid(np.array([network]), at[:, None], np.array([i]))
                    continue
                found = {**self._cost(ops)._asdict(), **peaks(ops, self._itemsize)}
                for name, count in found.items():
                    if count >= 2**63:
                        self.counts[name] = self.counts[name].astype(object)
                    self.counts[name][network, i] = count

    def _options(self, indices: Array) -> dict[str, Any]:
        """The options of one network."""
        return {name: self._networks[name][at] for name, at in zip(self._networks, indices, strict=True)}

    def _resolution(self, index: int) -> Resolution:
        return as_resolution(self._images[:, index].tolist())

    def _ops(self, options: Mapping[str, Any], resolution: Any) -> list[Op]:
        return self._arch(**{**options, "resolution": resolution}).ops(self._batch)

    def _cost(self, ops: Sequence[Op]) -> Cost:
        found = total([cost(op) for op in ops])
        if self._convention is None:
            return found
        macs: Any = sum(amount.macs for amount in self._convention.amounts(Record(tuple(ops))))
        return found._replace(macs=macs)

    def _mark_invalid(self, networks: Array, indices: Array, resolutions: Array) -> None:
        options = {
            **self._options(indices[:, 0]),
            "resolution": spell_resolution(self._resolution(resolutions[0])),
        }
        try:
            self._arch(**options).ops(self._batch)
        except (OptionError, ShapeError) as error:
            self.valid[np.ix_(networks, resolutions)] = False
            self.invalid.append(InvalidVariants(options, str(error)))
        else:
            raise AssertionError(f"{options} fails only together with other variants")


def _is_contiguous(indices: Array) -> bool:
    """True if the increasing `indices` have no gap."""
    return bool(indices[-1] - indices[0] == len(indices) - 1)


def _split(rows: Array, columns: Array, axis: arrays.Axis, mask: Array) -> list[tuple[Array, Array]]:
    """The two parts of a part: along `axis`, the elements that the mask selects, and the others."""
    if axis == NETWORKS:
        return [(rows[mask], columns), (rows[~mask], columns)]
    return [(rows, columns[mask]), (rows, columns[~mask])]
