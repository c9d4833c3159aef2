"""What every variant of a grid costs in closed form: few walks over the layers, whatever the number of variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from typing import Any

import numpy as np

from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError, is_numeric
from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.registry import cost
from mbanalyze.sweep.arrays import (
    NETWORKS,
    RESOLUTIONS,
    Array,
    Sizes,
    SplitError,
    TooLargeError,
    multiplied_out,
)

FEW = 16
"""So many variants are walked one by one in the time of a walk for all."""
SAFE = 2**49
"""Sums and ratios of counts below this, in bytes or bits, are exact in 64 bits and in floats."""

Axes = Mapping[str, Sequence[Any]]
"""The values of each option, by its name."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Variants that make no network: the options of the first, and what is wrong with it."""

    options: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of a grid.

    Attributes:
        counts: the fields of `Cost`, integers [networks, resolutions]; Python's where 64 bits are not enough.
        valid: which variants make a network, as an array of the same shape.
        failed: why others do not.
    """

    counts: Mapping[str, Array]
    valid: Array
    failed: tuple[Failure, ...]

    def cost(self) -> Cost:
        """The cost of all networks: its fields are arrays [variants], of Python's integers where not `SAFE`."""
        where = slice(None) if self.valid.all() else self.valid.ravel()
        found: dict[str, Any] = {name: counts.ravel()[where] for name, counts in self.counts.items()}
        return Cost(**{name: n if n.max(initial=0) < SAFE else n.astype(object) for name, n in found.items()})


def variants(axes: Axes) -> Iterator[dict[str, Any]]:
    """Every choice of one value of each option; the last one varies fastest."""
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def places(axes: Axes) -> Array:
    """Where the values of every variant are: [options, variants], in the order of `variants`."""
    lengths = [len(values) for values in axes.values()]
    return np.indices(lengths).reshape(len(axes), prod(lengths))


def totals(arch: type[Architecture], networks: Axes, resolutions: Sequence[int], *, batch: int = 1) -> Totals:
    """What `arch` costs with every choice of options, at every resolution.

    Args:
        networks: the values of each option but the resolution.
        batch: images in the input.

    Source of the method: the work of a layer is a product of a number of its channels and one of its places,
    and a network has few different numbers of places.
    """
    walks = _Walks(arch, networks, np.asarray(resolutions), batch)
    indices = places(networks)
    lengths = {i: len(networks[name]) for i, name in enumerate(networks) if not is_numeric(arch, name)}
    apart = list(lengths)
    for choice in product(*map(range, lengths.values())):
        chosen = np.flatnonzero((indices[apart] == np.array(choice, dtype=int)[:, None]).all(axis=0))
        walks.run(chosen, indices[:, chosen])
    return Totals(walks.counts, walks.valid, tuple(walks.failed))


_COLUMNS = tuple(declared.name for declared in fields(Cost))


class _Walks:
    """The walks over one architecture, and what they found."""

    def __init__(self, arch: type[Architecture], networks: Axes, resolutions: Array, batch: int) -> None:
        shape = (prod(map(len, networks.values())), len(resolutions))
        self.counts: dict[str, Any] = {name: np.zeros(shape, dtype=np.int64) for name in _COLUMNS}
        self.valid = np.ones(shape, dtype=bool)
        self.failed: list[Failure] = []
        self._arch = arch
        self._networks = networks
        self._resolutions = resolutions
        self._batch = batch

    def run(self, networks: Array, indices: Array) -> None:
        """Count the variants `networks`, whose options are at `indices` [options, networks] of their axes."""
        pieces = [(np.arange(len(networks)), np.arange(len(self._resolutions)))]
        while pieces:
            rows, columns = pieces.pop()
            if len(rows) * len(columns) <= max(FEW, 1):
                self._one_by_one(networks[rows], indices[:, rows], columns)
                continue
            try:
                found = self._cost(
                    self._many(indices[:, rows]), Sizes(self._resolutions[columns], RESOLUTIONS)
                )
                self._keep(found, networks[rows], columns)
            except SplitError as split:
                pieces += _parts(rows, columns, split)
            except TooLargeError:
                half = np.arange(max(len(rows), len(columns))) % 2 == 0
                pieces += _parts(rows, columns, SplitError(int(len(columns) > len(rows)), half))  # type: ignore[arg-type]
            except (OptionError, ShapeError):
                self._fail(networks[rows], indices[:, rows], columns)

    def _many(self, indices: Array) -> dict[str, Any]:
        """The options of many networks, which agree on those that are no plain numbers."""
        return {
            name: Sizes(np.asarray(values)[at], NETWORKS) if is_numeric(self._arch, name) else values[at[0]]
            for (name, values), at in zip(self._networks.items(), indices, strict=True)
        }

    def _one(self, indices: Array) -> dict[str, Any]:
        """The options of one network."""
        return {
            name: values[int(at)] for (name, values), at in zip(self._networks.items(), indices, strict=True)
        }

    def _cost(self, options: Mapping[str, Any], resolution: Any) -> Cost:
        spec = self._arch(**{**options, "resolution": resolution})
        return total([cost(op) for op in spec.ops(self._batch)])

    def _keep(self, found: Cost, networks: Array, resolutions: Array) -> None:
        counts = {name: getattr(found, name) for name in _COLUMNS}
        blocks = {name: multiplied_out(n) for name, n in counts.items() if type(n) is not int or n}
        where: tuple[Any, ...] = np.ix_(networks, resolutions)
        if all(map(_in_a_row, (networks, resolutions))):  # a block is written sooner
            where = (slice(networks[0], networks[-1] + 1), slice(resolutions[0], resolutions[-1] + 1))
        for name, block in blocks.items():
            self.counts[name][where] = block

    def _one_by_one(self, networks: Array, indices: Array, resolutions: Array) -> None:
        for network, at in zip(networks, indices.T, strict=True):
            for i in resolutions:
                try:
                    found = self._cost(self._one(at), int(self._resolutions[i]))
                except (OptionError, ShapeError):
                    self._fail(np.array([network]), at[:, None], np.array([i]))
                    continue
                for name in _COLUMNS:
                    count = getattr(found, name)
                    if count >= 2**63:
                        self.counts[name] = self.counts[name].astype(object)
                    self.counts[name][network, i] = count

    def _fail(self, networks: Array, indices: Array, resolutions: Array) -> None:
        options = {**self._one(indices[:, 0]), "resolution": int(self._resolutions[resolutions[0]])}
        try:
            self._arch(**options).ops(self._batch)
        except (OptionError, ShapeError) as error:
            self.valid[np.ix_(networks, resolutions)] = False
            self.failed.append(Failure(options, str(error)))
        else:
            raise AssertionError(f"{options} fails only beside others")


def _in_a_row(indices: Array) -> bool:
    """Whether rising `indices` leave none out."""
    return bool(indices[-1] - indices[0] == len(indices) - 1)


def _parts(rows: Array, columns: Array, split: SplitError) -> list[tuple[Array, Array]]:
    """The two pieces of a piece."""
    if split.axis == NETWORKS:
        return [(rows[split.where], columns), (rows[~split.where], columns)]
    return [(rows, columns[split.where]), (rows, columns[~split.where])]
