"""Search for the best variants within limits: those that fit, their Pareto front, and the decisive limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, make
from mbanalyze.conventions.convention_names import find_convention, labelled
from mbanalyze.display.records import rows_of
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.literature.accuracy.agreement import AccuracySource, accuracy_sources
from mbanalyze.literature.accuracy.cells import LOWER_IS_BETTER
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import read_accuracy
from mbanalyze.report.network import CONVENTION
from mbanalyze.sources.timed_reports import given_profile
from mbanalyze.sweep.arrays import Array
from mbanalyze.sweep.candidates import SearchError, candidates, variant_reference
from mbanalyze.sweep.given_limits import Limit, limits_of, within
from mbanalyze.sweep.objectives import MINIMISED, OBJECTIVES
from mbanalyze.sweep.plain_columns import Columns, Rows, is_known, ranks, sorted_rows, take
from mbanalyze.sweep.predicted_columns import dtype_with

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.conventions.convention import Convention
    from mbanalyze.inputs.typed import AnyPath
    from mbanalyze.literature.accuracy.own_table import Accuracy
    from mbanalyze.profiles.time_profile import Profile

SEARCH_SCHEMA = "mbanalyze.search/1"


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
    limit: int | float
    needed: int | float
    variant: Mapping[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Search(Result):
    """The variants that a search considered, and the best of them.

    Attributes:
        objective: the quantity to maximise, or to minimise if it is a time.
        ranked_by: the quantity that ranks the variants: the objective, or macs if no fitting variant has one.
        costs: the quantities to minimise: every limited total, plus macs, params and, with a profile, the predicted
            time, except `ranked_by`.
        limits: the limit of each limited total.
        rows: one row for each variant, as plain columns.
        own: the use of the user's accuracy; None without one.
        uncounted: the reference of each model of a pattern that is not counted completely, and the reason.
            Networks that the profile has no time for are among them. None of these is considered.
        family: the architecture or family that was searched, or `all`.
        dtype: the element type that was given for byte counts.
        convention: the convention of its macs: `CONVENTION`, or another counter's with its version.
        profile: the machine whose time is predicted; None if no time is.
    """

    objective: str
    ranked_by: str
    costs: tuple[str, ...]
    limits: Mapping[str, int | float]
    rows: Rows
    own: OwnUse | None = None
    uncounted: tuple[tuple[str, str], ...] = ()
    family: str = "all"
    dtype: str = "float32"
    convention: str = CONVENTION
    profile: Profile | None = None

    @property
    def other_convention(self) -> Convention | None:
        """The convention of another counter that gave its macs; None for ours."""
        return labelled(self.convention)

    @property
    def considered(self) -> pd.DataFrame:
        """One row for each variant, as a frame.

        The columns are those of `ablate`, `model`, and `options` (all options except alpha and resolution).
        `fits` is True for variants within all limits.
        `front` is True for those on the Pareto front of the fitting variants, by `ranked_by` and all costs.
        """
        return self.rows.frame

    def frame(self, which: str = "variants") -> pd.DataFrame:
        """Return rows as a frame.

        Args:
            which: `variants` for those within the limits, `considered` for all, `front` for the Pareto front
                (best first), or `unpublished` for variants without a value to rank (most macs first).

        Raises:
            ChoiceError: `which` is unknown.
        """
        return self.considered.iloc[self._indices(which)].copy()

    def records(self, which: str = "variants") -> list[dict[str, Any]]:
        """Return `frame(which)` as one dict for each row; None is unknown."""
        return self._records(self._indices(which))

    def size(self, which: str = "variants") -> int:
        """Return the number of rows of `frame(which)`."""
        return len(self._indices(which))

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return list(self.rows.columns)

    def _records(self, rows: Any) -> list[dict[str, Any]]:
        return rows_of(take(self.rows.columns, rows))

    def _indices(self, which: str) -> Array:
        """The indices of rows among all, in order; raises as `frame`."""
        found: dict[str, Callable[[], Array]] = {
            "variants": lambda: np.flatnonzero(self.rows.columns["fits"]),
            "considered": lambda: np.arange(len(self.rows)),
            "front": lambda: self._front,
            "unpublished": lambda: self._unpublished,
        }
        return found[choose("rows", which, found)]()

    @cached_property
    def _front(self) -> Array:
        ascending = {self.ranked_by: self.ranked_by in MINIMISED} | dict.fromkeys(self.costs, True)
        return self._sorted(self.rows.columns["front"], ascending)

    @cached_property
    def _unpublished(self) -> Array:
        unknown = ~is_known(self.rows.columns[self.ranked_by])
        return self._sorted(self.rows.columns["fits"] & unknown, {"macs": False, "params": True})

    def _sorted(self, mask: Array, ascending: Mapping[str, bool]) -> Array:
        """The indices of the rows that a mask selects, in order."""
        rows = np.flatnonzero(mask)
        return rows[sorted_rows(take(self.rows.columns, rows), ascending)]

    @property
    def better(self) -> pd.DataFrame:
        """The variants that are better than the best and exceed a limit; no rows if nothing fits."""
        return self.considered[self.is_better]

    @cached_property
    def is_better(self) -> Array:
        """Booleans, true for the rows of `better`."""
        if self.best is None:
            return np.zeros(len(self.rows), dtype=bool)
        values, best = self.rows.columns[self.ranked_by], self.best[self.ranked_by]
        better: Array = values < best if self.ranked_by in MINIMISED else values > best
        return better

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The row of the best fitting variant, or None if no variant fits."""
        return next(iter(self._records(self._front[:1])), None)

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
            allowed = self.is_better & within(self.rows.columns, others)
            if allowed.any():
                nearest = self._lowest(allowed, quantity)
                found.append(BlockingLimit(quantity, limit, nearest[quantity], nearest))
        return tuple(found)

    @cached_property
    def smallest(self) -> dict[str, dict[str, Any]]:
        """The row of the variant with the lowest total, for each limited total."""
        everything = np.ones(len(self.rows), dtype=bool)
        return {quantity: self._lowest(everything, quantity) for quantity in self.limits}

    def _lowest(self, mask: Array, total: str) -> dict[str, Any]:
        """The row with the lowest `total` among those that a mask selects."""
        return self._records(self._sorted(mask, {total: True, "macs": True})[:1])[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the search as a JSON document of schema `SEARCH_SCHEMA`."""
        return {
            "schema": SEARCH_SCHEMA,
            "convention": self.convention,
            "profile": self.profile and self.profile.settings,
            "objective": self.objective,
            "ranked_by": self.ranked_by,
            "limits": dict(self.limits),
            "looked_at": len(self.rows),
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


def search(
    family: str = "all",
    *,
    max_macs: Limit | None = None,
    max_params: Limit | None = None,
    max_memory_access: Limit | None = None,
    max_activations: Limit | None = None,
    max_peak: Limit | None = None,
    max_peak_deployed: Limit | None = None,
    max_ms: Limit | None = None,
    objective: str | None = None,
    dtype: str | None = None,
    batch: int = 1,
    convention: str | None = None,
    profile: AnyPath | Profile | None = None,
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
        max_peak, max_peak_deployed: limits of `peak_bytes` and `peak_bytes_deployed`, such as `"320 KB"`.
            These depend on `dtype`.
        max_ms: limit of `predicted_ms`, in milliseconds, such as `5`. It needs `profile`.
        objective: the quantity to maximise: `top1` (default), `params` or `macs`, or another metric of `accuracy`.
            `predicted_ms` is minimised, and needs `profile`.
        dtype: element type for byte counts; by default that of `profile`, or else float32.
        batch: images in the input. Above 1, the rows have a column `batch`, and no published figures of one image.
        convention: count macs as another counter does, as for `ablate`. Limits and objective then mean these macs.
        profile: predicts the time of each variant, as for `ablate`. Networks that it has no time for are left out.
        workers, time_limit, resume, progress: for a pattern of a package, as for `ablate`. A convention that needs
            traces takes `workers` and `progress` too: by default, 40 variants or more are traced in one process per
            processor, and fewer in this process.
        accuracy: your own accuracy, as for `ablate`. Its variants are considered too.
        published: rank published accuracy as well, where `accuracy` has none.
        options: values of options, as for `ablate`; an architecture ignores those that it does not have.
            Without an `alpha` or `resolution`, all published values are considered.

    Raises:
        SearchError: the family is unknown, a limit is not a whole number above 0, or there are no variants.
            Or the objective is a metric such as latency, which is better when lower. Or a time lacks its profile.
        OptionError: no architecture of the family has an option.
        GridError, ProfileError, PredictionError: as for `ablate`.
        SourceError, ResumeError, OutputError: as for `ablate`, for a pattern.
        ChoiceError: the objective, dtype or convention is unknown.
        AccuracyError: the accuracy cannot be read, is malformed or contradicts itself.

    >>> found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    >>> found.best["alpha"], found.best["resolution"], found.best["top1"]
    (0.5, 224, 63.3)
    """
    if published and accuracy is None:
        raise SearchError("published keeps published accuracy beside your own: give accuracy too")
    own = None if accuracy is None else read_accuracy(accuracy, options)
    objective = "top1" if objective is None else objective
    choose("objective", objective, dict.fromkeys([*OBJECTIVES, *(own.metrics if own else ())]))
    if objective not in OBJECTIVES and LOWER_IS_BETTER.fullmatch(objective):
        raise SearchError(f"{objective} is better when lower, and search maximises: choose another objective")
    limits = limits_of(
        max_macs, max_params, max_memory_access, max_activations, max_peak, max_peak_deployed, max_ms
    )
    known_profile = None if profile is None else given_profile(profile)
    if known_profile is None and "predicted_ms" in (objective, *limits):
        raise SearchError("a predicted time needs a profile: give profile, a file of 'mbanalyze calibrate'")
    dtype = dtype_with(known_profile, dtype) or "float32"
    label = CONVENTION if convention is None else find_convention(convention).label
    run: dict[str, Any] = {"workers": workers, "time_limit": time_limit, "resume": resume}
    found = candidates(
        family,
        options,
        dtype=dtype,
        batch=batch,
        own=own,
        published=published,
        convention=convention,
        profile=known_profile,
        progress=progress,
        **run,
    )
    columns = found.rows.columns
    fits = within(columns, limits)
    known = fits & is_known(columns[objective])
    ranked_by = "macs" if fits.any() and not known.any() else objective
    timed = ["predicted_ms"] if known_profile else []
    costs = tuple(name for name in dict.fromkeys([*timed, *limits, "macs", "params"]) if name != ranked_by)
    ranked = np.flatnonzero(fits & is_known(columns[ranked_by]))
    front = _pareto_front(columns, ranked, ranked_by, costs)
    rows = found.rows.with_columns(fits=fits, front=front)
    return Search(
        *(objective, ranked_by, costs, limits, rows, found.own, found.uncounted, family, dtype, label),
        known_profile,
    )


def _pareto_front(columns: Columns, rows: Array, objective: str, costs: Sequence[str]) -> Array:
    """Booleans, true for the given rows that no other of them dominates: best objective, lowest costs."""
    sign = 1 if objective in MINIMISED else -1
    values = [sign * columns[objective][rows], *(columns[cost][rows] for cost in costs)]
    ranked = np.column_stack(list(map(ranks, values)))
    front = np.zeros(len(columns[objective]), dtype=bool)
    kept = np.empty((0, ranked.shape[1]))
    for i in np.lexsort(ranked.T[::-1]):  # a row comes after every row that dominates it
        if not (kept <= ranked[i]).all(axis=1).any():
            kept = np.vstack([kept, ranked[i]])
            front[rows[i]] = True
    return front
