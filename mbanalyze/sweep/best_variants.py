"""Search for the best variants within limits: those that fit, their Pareto front, and the decisive limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, make
from mbanalyze.display.records import rows_of
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import ParseError, parse_count, split_reference
from mbanalyze.inputs.typed import is_whole
from mbanalyze.literature.accuracy.agreement import AccuracySource, accuracy_sources
from mbanalyze.literature.accuracy.cells import LOWER_IS_BETTER
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import read_accuracy
from mbanalyze.sweep.candidates import SearchError, candidates, variant_reference
from mbanalyze.sweep.objectives import LIMITS, OBJECTIVES

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.literature.accuracy.own_table import Accuracy

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
        ranked_by: the quantity that ranks the variants: the objective, or macs if no fitting variant has one.
        costs: the quantities to minimise: every limited total, plus macs and params, except `ranked_by`.
        limits: the limit of each limited total.
        considered: one row for each variant, with the columns of `ablate`, `model`, and `options` (all options
            except alpha and resolution). `fits` is True for variants within all limits. `front` is True for
            those on the Pareto front of the fitting variants, by `ranked_by` and all costs.
        own: the use of the user's accuracy; None without one.
        uncounted: the reference of each model of a pattern that is not counted completely, and the reason.
            These models are not considered.
        family: the architecture or family that was searched, or `all`.
    """

    objective: str
    ranked_by: str
    costs: tuple[str, ...]
    limits: Mapping[str, int]
    considered: pd.DataFrame
    own: OwnUse | None = None
    uncounted: tuple[tuple[str, str], ...] = ()
    family: str = "all"

    def frame(self, which: str = "variants") -> pd.DataFrame:
        """Return rows as a frame.

        Args:
            which: `variants` for those within the limits, `considered` for all, `front` for the Pareto front
                (best first), or `unpublished` for variants without a value to rank (most macs first).

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

    @property
    def reference(self) -> str | None:
        """The best fitting variant as the reference that every command takes; None if no variant fits."""
        return None if self.best is None else variant_reference(self.best)

    @cached_property
    def sources(self) -> tuple[AccuracySource, ...]:
        """The sources of `top1` on the front, and how far other sources of the same variants differ."""
        rows = [row for row in self.records("front") if row["top1"] is not None]
        known = [row for row in rows if row["model"] in ARCHS]
        return accuracy_sources((_spec(row), row["accuracy_source"], row["top1"]) for row in known)

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
            "reference": self.reference,
            "binding": [asdict(blocking) for blocking in self.blocking_limits],
            "smallest": self.smallest,
            "variants": self.records(),
            "accuracy": [source.as_dict() for source in self.sources],
            "own": None if self.own is None else self.own.as_dict(),
            "uncounted": dict(self.uncounted),
        }


def _spec(row: Mapping[str, Any]) -> Architecture:
    """The network of a row."""
    name, options = split_reference(variant_reference(row))
    return make(name, ARCHS[name], options)


Limit = int | float | str
"""A limit as the user gives it: a whole number, or text such as `150M`."""


def search(
    family: str = "all",
    *,
    max_macs: Limit | None = None,
    max_params: Limit | None = None,
    max_memory_access: Limit | None = None,
    max_activations: Limit | None = None,
    objective: str = "top1",
    dtype: str = "float32",
    batch: int = 1,
    workers: int | None = None,
    time_limit: float | None = None,
    resume: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
    accuracy: Accuracy | None = None,
    published: bool = False,
    **options: Any,
) -> Search:
    """Find the best variants of known architectures within limits.

    Args:
        family: an architecture (`mobilenet_v2`), a family with published figures (`mobilenet`), or `all`.
            Or a pattern, as for `ablate`: `timm:mobilenet*` searches among all models of timm that match.
        max_macs, max_params, max_memory_access, max_activations: limits of the totals, for the whole batch.
            Memory access is in elements. A limit is a whole number such as `150e6`, or a text such as `"150M"`.
        objective: the quantity to maximise: `top1`, `params` or `macs`, or another metric of `accuracy`.
        dtype: element type for byte counts.
        batch: images in the input. Above 1, the rows have a column `batch`, and no published figures of one image.
        workers, time_limit, resume, progress: for a pattern of a package, as for `ablate`.
        accuracy: your own accuracy, as for `ablate`. Its variants are considered too.
        published: rank published accuracy as well, where `accuracy` has none.
        options: values of options, as for `ablate`; an architecture ignores those that it does not have.
            Without an `alpha` or `resolution`, all published values are considered.

    Raises:
        SearchError: the family is unknown, a limit is not a whole number above 0, or there are no variants.
            Or the objective is a metric such as latency, which is better when lower.
        OptionError: no architecture of the family has an option.
        GridError, SourceError, ResumeError, OutputError: as for `ablate`, for a pattern.
        ChoiceError: the objective or dtype is unknown.
        AccuracyError: the accuracy cannot be read, is malformed or contradicts itself.

    >>> found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    >>> found.best["alpha"], found.best["resolution"], found.best["top1"]
    (0.5, 224, 63.3)
    """
    if published and accuracy is None:
        raise SearchError("published keeps published accuracy beside your own: give accuracy too")
    own = None if accuracy is None else read_accuracy(accuracy, options)
    choose("objective", objective, dict.fromkeys([*OBJECTIVES, *(own.metrics if own else ())]))
    if objective not in OBJECTIVES and LOWER_IS_BETTER.fullmatch(objective):
        raise SearchError(f"{objective} is better when lower, and search maximises: choose another objective")
    limits = _limits(max_macs, max_params, max_memory_access, max_activations)
    run = {"workers": workers, "time_limit": time_limit, "resume": resume, "progress": progress}
    found = candidates(family, options, dtype=dtype, batch=batch, own=own, published=published, **run)
    frame = found.frame
    frame["fits"] = _within(frame, limits)
    fitting = frame[objective][frame["fits"]]
    ranked_by = "macs" if len(fitting) and fitting.isna().all() else objective
    costs = tuple(name for name in dict.fromkeys([*limits, "macs", "params"]) if name != ranked_by)
    frame["front"] = _pareto_front(frame, ranked_by, costs)
    return Search(objective, ranked_by, costs, limits, frame, found.own, found.uncounted, family)


def _limits(*given: Limit | None) -> dict[str, int]:
    """The limits that are set, by total; `given` has the order of `LIMITS`."""
    limits = {t: _limit(f"max_{t}", g) for t, g in zip(LIMITS, given, strict=True) if g is not None}
    for total, limit in limits.items():
        if limit > MAX_LIMIT:
            raise SearchError(f"max_{total} must be at most {MAX_LIMIT:.0e}: leave it out for no limit")
    return limits


def _limit(name: str, given: Limit) -> int:
    """A limit as an integer."""
    try:
        if isinstance(given, str):
            return parse_count(given)
        whole = is_whole(given) or (isinstance(given, float | np.floating) and given.is_integer())
        if whole and given >= 1:
            return int(given)
    except ParseError as error:
        raise SearchError(f"{name}: {error}") from error
    raise SearchError(f"{name} must be a whole number above 0, not {given!r}: give 150e6 or '150M'")


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
