"""Search for the best variants within limits: those that fit, their Pareto front, and the decisive limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.display.records import rows_of
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import is_whole
from mbanalyze.sweep.candidates import SearchError, candidates
from mbanalyze.sweep.objectives import LIMITS, OBJECTIVES

if TYPE_CHECKING:
    import pandas as pd

SEARCH_SCHEMA = "mbanalyze.search/1"
MAX_LIMIT = 10**100
"""The largest limit, above the count of any network; messages cannot show a larger one."""


@dataclass(frozen=True, slots=True)
class BlockingLimit:
    """A limit that alone excludes a better variant.

    Attributes:
        quantity: the limited total.
        limit: its limit.
        needed: the lowest limit that allows a better variant.
        variant: the row of that variant.
    """

    quantity: str
    limit: int
    needed: int
    variant: Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Search(Result):
    """The variants that a search considered, and the best of them.

    Attributes:
        objective: the quantity to maximise.
        ranked_by: the quantity that ranks the variants: the objective, or macs if no fitting variant has a
            published accuracy.
        costs: the quantities to minimise: every limited total, plus macs and params, except `ranked_by`.
        limits: the limit of each limited total.
        considered: one row for each variant, with the columns of `ablate`, `model`, and `options` (all options
            except alpha and resolution). `fits` is True for variants within all limits. `front` is True for
            those on the Pareto front of the fitting variants, by `ranked_by` and all costs.
        family: the architecture or family that was searched, or `all`.
    """

    objective: str
    ranked_by: str
    costs: tuple[str, ...]
    limits: Mapping[str, int]
    considered: pd.DataFrame
    family: str = "all"

    def frame(self, which: str = "variants") -> pd.DataFrame:
        """Return rows as a frame.

        Args:
            which: `variants` for those within the limits, `considered` for all, `front` for the Pareto front
                (best first), or `unpublished` for variants without accuracy (most macs first).

        Raises:
            ChoiceError: `which` is unknown.
        """
        frames = {
            "variants": self._fitting,
            "considered": self.considered,
            "front": self._front,
            "unpublished": self._unpublished,
        }
        return frames[choose("rows", which, frames)].copy()

    def records(self, which: str = "variants") -> list[dict[str, Any]]:
        """Return `frame(which)` as one dict for each row; None is unknown."""
        return rows_of(self.frame(which))

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return [str(name) for name in self.considered]

    @property
    def _fitting(self) -> pd.DataFrame:
        return self.considered[self.considered["fits"]]

    @cached_property
    def _front(self) -> pd.DataFrame:
        rows, ascending = self.considered[self.considered["front"]], [False] + [True] * len(self.costs)
        return rows.sort_values([self.ranked_by, *self.costs], ascending=ascending, kind="stable")

    @property
    def _unpublished(self) -> pd.DataFrame:
        rows = self._fitting[self._fitting[self.ranked_by].isna()]
        return rows.sort_values(["macs", "params"], ascending=[False, True], kind="stable")

    @cached_property
    def better(self) -> pd.DataFrame:
        """The variants that are better than the best and exceed a limit; no rows if nothing fits."""
        best = inf if self.best is None else self.best[self.ranked_by]
        rows: pd.DataFrame = self.considered[self.considered[self.ranked_by] > best]
        return rows

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The row of the best fitting variant, or None if no variant fits."""
        return next(iter(rows_of(self._front.head(1))), None)

    @cached_property
    def blocking_limits(self) -> tuple[BlockingLimit, ...]:
        """The limits that each exclude a better variant which meets all other limits."""
        found = []
        for quantity, limit in self.limits.items():
            others = {name: other for name, other in self.limits.items() if name != quantity}
            allowed = self.better[_within(self.better, others)]
            if len(allowed):
                nearest = _lowest(allowed, quantity)
                found.append(BlockingLimit(quantity, limit, nearest[quantity], nearest))
        return tuple(found)

    @cached_property
    def smallest(self) -> dict[str, dict[str, Any]]:
        """The row of the variant with the lowest total, for each limited total."""
        return {quantity: _lowest(self.considered, quantity) for quantity in self.limits}

    def as_dict(self) -> dict[str, Any]:
        """Return the search as a JSON document of schema `SEARCH_SCHEMA`."""
        return {
            "schema": SEARCH_SCHEMA,
            "objective": self.objective,
            "ranked_by": self.ranked_by,
            "limits": dict(self.limits),
            "looked_at": len(self.considered),
            "best": self.best,
            "binding": [asdict(blocking) for blocking in self.blocking_limits],
            "smallest": self.smallest,
            "variants": self.records(),
        }


def search(
    family: str = "all",
    *,
    max_macs: int | None = None,
    max_params: int | None = None,
    max_memory_access: int | None = None,
    max_activations: int | None = None,
    objective: str = "top1",
    dtype: str = "float32",
    batch: int = 1,
    **options: Any,
) -> Search:
    """Find the best variants of known architectures within limits.

    Args:
        family: an architecture (`mobilenet_v2`), a family with published figures (`mobilenet`), or `all`.
        max_macs, max_params, max_memory_access, max_activations: limits of the totals, for the whole batch.
            Memory access is in elements.
        objective: the quantity to maximise, one of `OBJECTIVES`.
        dtype: element type for byte counts.
        batch: images in the input. Above 1, the rows have a column `batch`, and no published figures of one image.
        options: values of options, as for `ablate`; an architecture ignores those that it does not have.
            Without an `alpha` or `resolution`, all published values are considered.

    Raises:
        SearchError: the family is unknown, a limit is not a whole number above 0, or there are no variants.
        OptionError: no architecture of the family has an option.
        ChoiceError: the objective or dtype is unknown.

    >>> found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    >>> found.best["alpha"], found.best["resolution"], found.best["top1"]
    (0.5, 224, 63.3)
    """
    choose("objective", objective, OBJECTIVES)
    limits = _limits(max_macs, max_params, max_memory_access, max_activations)
    frame = candidates(family, options, dtype=dtype, batch=batch)
    frame["fits"] = _within(frame, limits)
    fitting = frame[objective][frame["fits"]]
    ranked_by = "macs" if len(fitting) and fitting.isna().all() else objective
    costs = tuple(name for name in dict.fromkeys([*limits, "macs", "params"]) if name != ranked_by)
    frame["front"] = _pareto_front(frame, ranked_by, costs)
    return Search(objective, ranked_by, costs, limits, frame, family)


def _limits(*given: int | None) -> dict[str, int]:
    """The limits that are set, by total; `given` has the order of `LIMITS`."""
    limits = {total: limit for total, limit in zip(LIMITS, given, strict=True) if limit is not None}
    for total, limit in limits.items():
        if not is_whole(limit) or limit < 1:
            raise SearchError(f"max_{total} must be a whole number above 0, not {limit!r}")
        if limit > MAX_LIMIT:
            raise SearchError(f"max_{total} must be at most {MAX_LIMIT:.0e}: leave it out for no limit")
    return limits


def _within(frame: pd.DataFrame, limits: Mapping[str, int]) -> Any:
    """Booleans, true for rows within all limits."""
    within = np.ones(len(frame), dtype=bool)
    for total, limit in limits.items():
        within &= (frame[total] <= limit).to_numpy()
    return within


def _pareto_front(frame: pd.DataFrame, objective: str, costs: Sequence[str]) -> Any:
    """Booleans, true for fitting rows that no other row dominates: highest objective, lowest costs."""
    rows = np.flatnonzero(frame["fits"].to_numpy() & frame[objective].notna().to_numpy())
    columns = [-frame[objective].to_numpy()[rows], *(frame[cost].to_numpy()[rows] for cost in costs)]
    # ranks compare integers of any size exactly
    ranks = np.column_stack([np.unique(column, return_inverse=True)[1] for column in columns])
    front = np.zeros(len(frame), dtype=bool)
    kept = np.empty((0, ranks.shape[1]))
    for i in np.lexsort(ranks.T[::-1]):  # a row comes after every row that dominates it
        if not (kept <= ranks[i]).all(axis=1).any():
            kept = np.vstack([kept, ranks[i]])
            front[rows[i]] = True
    return front


def _lowest(frame: pd.DataFrame, total: str) -> dict[str, Any]:
    """The row with the lowest `total`."""
    return rows_of(frame.sort_values([total, "macs"], kind="stable").head(1))[0]
