"""The best variants within a budget: what fits, what of it is on the Pareto front, and which limit binds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import OptionError, validate_values
from mbanalyze.display.records import rows_of
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.inputs.typed import is_shape
from mbanalyze.literature.figures import entries
from mbanalyze.sweep.ablation import ablate, axis
from mbanalyze.sweep.published_rows import preferred
from mbanalyze.sweep.traced import VariantError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

Objective = Literal["top1", "params", "macs"]
"""What the best variant has most of: published accuracy, or where none is published, its stand-ins."""
LIMITED = ("macs", "params", "memory_access", "activations")
"""The totals that a budget may limit."""
SCHEMA = "mbanalyze.search/1"


class SearchError(ValueError):
    """A family that is not known, or a limit that is none."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A limit that alone keeps a better variant out.

    Attributes:
        quantity, limit: what is limited, and to how much.
        needed: the least that would admit a better one.
        variant: the row of that one.
    """

    quantity: str
    limit: int
    needed: int
    variant: Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """What was found.

    Attributes:
        objective: what the best variant is to have most of.
        ranked_by: what it has most of: the objective, or macs where no accuracy is published of what fits.
        costs: what it should cost little of: all that is limited, macs and params, but what it is ranked by.
        limits: the most that each total may be.
        frame: every variant that was looked at, a row each, as `ablate` has them; besides `model`, `options`
            other than alpha and resolution, whether it `fits` the limits, and whether it is on the `front`: no
            other that fits has as much of what they are ranked by, and as little of all costs.
    """

    objective: Objective
    ranked_by: Objective
    costs: tuple[str, ...]
    limits: Mapping[str, int]
    frame: pd.DataFrame

    @cached_property
    def front(self) -> pd.DataFrame:
        """The rows on the front, the best first."""
        rows, order = self.frame[self.frame["front"]], [False] + [True] * len(self.costs)
        return rows.sort_values([self.ranked_by, *self.costs], ascending=order, kind="stable")

    @cached_property
    def unpublished(self) -> pd.DataFrame:
        """The rows that fit and have no place on the front, as no accuracy is published of them; most macs first."""
        unknown = self.frame[self.frame["fits"] & self.frame[self.ranked_by].isna()]
        return unknown.sort_values(["macs", "params"], ascending=[False, True], kind="stable")

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The row of the best variant that fits, the first of the front."""
        return rows_of(self.front.head(1))[0] if len(self.front) else None

    @cached_property
    def better(self) -> pd.DataFrame:
        """The rows that would be better than the best, and do not fit."""
        most = inf if self.best is None else self.best[self.ranked_by]
        rows: pd.DataFrame = self.frame[self.frame[self.ranked_by] > most]
        return rows

    @cached_property
    def binding(self) -> tuple[Binding, ...]:
        """The limits that each, if it alone were lifted, would let a better variant in."""
        found = []
        for quantity, limit in self.limits.items():
            others = {name: most for name, most in self.limits.items() if name != quantity}
            admitted = self.better[_fits(self.better, others)]
            if len(admitted):
                nearest = _least(admitted, quantity)
                found.append(Binding(quantity, limit, nearest[quantity], nearest))
        return tuple(found)

    @cached_property
    def smallest(self) -> dict[str, dict[str, Any]]:
        """For each limited total, the row of the variant that has least of it."""
        return {quantity: _least(self.frame, quantity) for quantity in self.limits}

    def as_dict(self) -> dict[str, Any]:
        """The search as the JSON document of schema `SCHEMA`."""
        return {
            "schema": SCHEMA,
            "objective": self.objective,
            "ranked_by": self.ranked_by,
            "limits": dict(self.limits),
            "looked_at": len(self.frame),
            "best": self.best,
            "binding": [
                {"quantity": b.quantity, "limit": b.limit, "needed": b.needed, "variant": dict(b.variant)}
                for b in self.binding
            ],
            "smallest": self.smallest,
            "variants": rows_of(self.frame[self.frame["fits"]]),
        }

    def __repr__(self) -> str:
        from mbanalyze.display.tables import plain
        from mbanalyze.sweep.view import table

        return plain(table(self))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from mbanalyze.sweep.view import table

        yield table(self, width=options.max_width)

    def _repr_html_(self) -> str:
        from mbanalyze.sweep.view import html

        return html(self)


def search(
    family: str = "all",
    *,
    max_macs: int | None = None,
    max_params: int | None = None,
    max_memory_access: int | None = None,
    max_activations: int | None = None,
    objective: Objective = "top1",
    **options: Any,
) -> Search:
    """The variants of known architectures that fit a budget.

    Args:
        family: an architecture (`mobilenet_v2`), a family that figures are published of (`mobilenet`), or `all`.
        max_macs, max_params, max_memory_access, max_activations: the most that a variant may have, in units.
        objective: what the best has most of.
        options: as for `ablate`, where an architecture has them. An `alpha` or `resolution` that is not given is
            each that something is published of.

    Raises:
        SearchError: unknown family or objective, or a limit that is no whole number above 0.
        OptionError: no architecture of the family has an option.

    >>> found = search("mobilenet_v1", max_macs=150_000_000, max_params=3_000_000)
    >>> found.best["alpha"], found.best["resolution"], found.best["top1"]
    (0.5, 224, 63.3)
    """
    import pandas as pd

    if objective not in get_args(Objective):
        raise SearchError(f"unknown objective {objective!r}: choose one of {', '.join(get_args(Objective))}")
    given = dict(zip(LIMITED, (max_macs, max_params, max_memory_access, max_activations), strict=True))
    limits = {quantity: most for quantity, most in given.items() if most is not None}
    for quantity, most in limits.items():
        if not is_shape((most,)) or most < 1:
            raise SearchError(f"max_{quantity} must be a whole number above 0, not {most!r}")
    names = _names(family)
    _check_known(names, options)
    frames = [frame for name in names for frame in _frames(name, options)]
    if not frames:
        raise SearchError(f"{family} has no variant with {spell_options(options, ' ')}")
    frame = pd.concat(frames, ignore_index=True)
    same = ["model", "alpha", "resolution", *(f for f in ("params", "macs", "flops", "reads", "writes"))]
    frame = frame.drop_duplicates(same, ignore_index=True)
    frame["fits"] = _fits(frame, limits)
    fitting = frame[objective][frame["fits"]]
    ranked_by: Objective = "macs" if len(fitting) and fitting.isna().all() else objective
    costs = tuple(name for name in dict.fromkeys([*limits, "macs", "params"]) if name != ranked_by)
    frame["front"] = _front(frame, ranked_by, costs)
    return Search(objective, ranked_by, costs, limits, frame)


def families() -> dict[str, list[str]]:
    """Each family that figures are published of, with its architectures."""
    found: dict[str, dict[str, None]] = {}
    for entry in entries():
        if entry.variant in ARCHS:
            found.setdefault(entry.family, {})[entry.variant] = None
    return {family: list(names) for family, names in found.items()}


def _names(family: str) -> list[str]:
    """The architectures of a family."""
    if family == "all":
        return list(ARCHS)
    if family in ARCHS:
        return [family]
    known = families()
    if family in known:
        return known[family]
    near = difflib.get_close_matches(str(family), [*known, *ARCHS])
    hint = f"nearest are {', '.join(near)}; " if near else ""
    raise SearchError(f"no family {family!r}: {hint}families are all, {', '.join(known)}")


def _check_known(names: Sequence[str], options: Iterable[str]) -> None:
    """Raise `OptionError` for an option that none of the architectures has."""
    known = {"rho", *(declared.name for name in names for declared in fields(ARCHS[name]))}
    for option in options:
        if option not in known:
            raise OptionError(
                f"no option {option!r} of {', '.join(names)}: options are {', '.join(sorted(known))}"
            )


def _frames(name: str, options: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """The variants of one architecture: each published choice of options, at the alphas and resolutions asked for."""
    arch = ARCHS[name]
    own = {declared.name: declared for declared in fields(arch)}
    chosen = {option: axis(option, given) for option, given in options.items() if option in (*own, "rho")}
    if "alpha" in chosen and own["alpha"].metadata["choices"]:
        chosen["alpha"] = [alpha for alpha in chosen["alpha"] if alpha in own["alpha"].metadata["choices"]]
        if not chosen["alpha"]:
            return
    for option in chosen.keys() - {"rho"}:
        validate_values(name, arch, option, chosen[option])
    seen = []
    for rest, known in _published(name):
        if "rho" in chosen:
            known.pop("resolution", None)
        axes = {**rest, **known, **chosen}
        if axes not in seen:
            seen.append(axes)
            with suppress(VariantError):  # none of these makes a network
                yield _framed(name, axes)


def _published(name: str) -> Iterator[tuple[dict[str, Any], dict[str, list[Any]]]]:
    """The choices of options that are published, each with its alphas and resolutions."""
    default = {f.name: f.default for f in fields(ARCHS[name])}
    found: dict[str, tuple[dict[str, Any], dict[str, list[Any]]]] = {}
    rows = [dict(e.options) for e in entries() if e.variant == name and not e.undefined]
    rows = [row for row in rows if "num_classes" not in row]  # another task, and smaller for that alone
    for row in [{}, *(implied for arch, implied in ALIASES.values() if arch == name), *rows]:
        sizes = {
            option: row.get(option, default[option])
            for option in ("alpha", "resolution")
            if option in default
        }
        rest = {option: value for option, value in row.items() if option not in sizes}
        _, known = found.setdefault(spell_options(rest), (rest, {option: [] for option in sizes}))
        for option, value in sizes.items():
            if value not in known[option]:
                known[option].append(value)
    yield from found.values()


def _framed(name: str, axes: Mapping[str, Any]) -> pd.DataFrame:
    """The frame of `ablate`, with the columns that every architecture has.

    Of several sources, that of a figure is the same whatever else is in the grid.
    """
    frame = ablate(name, failed="drop", published=preferred(name), **axes)
    others = [option for option in axes if option not in ("alpha", "resolution", "rho")]
    options = [
        spell_options(dict(zip(others, row, strict=True)), " ")
        for row in zip(*(frame[o] for o in others), strict=True)
    ]
    frame = frame.drop(columns=others)
    frame.insert(0, "model", name)
    if "alpha" not in frame:
        frame.insert(1, "alpha", np.nan)
    frame.insert(frame.columns.get_loc("params"), "options", options or [""] * len(frame))  # type: ignore[arg-type]
    return frame


def _fits(frame: pd.DataFrame, limits: Mapping[str, int]) -> Any:
    fits = np.ones(len(frame), dtype=bool)
    for quantity, most in limits.items():
        fits &= (frame[quantity] <= most).to_numpy()
    return fits


def _front(frame: pd.DataFrame, objective: str, costs: Sequence[str]) -> Any:
    """Which rows are on the Pareto front of those that fit: most of the objective, least of the costs."""
    rows = np.flatnonzero(frame["fits"].to_numpy() & frame[objective].notna().to_numpy())
    columns = [-frame[objective].to_numpy()[rows], *(frame[cost].to_numpy()[rows] for cost in costs)]
    # their ranks, so that integers of any size are compared exactly
    values = np.column_stack([np.unique(column, return_inverse=True)[1] for column in columns])
    front = np.zeros(len(frame), dtype=bool)
    kept = np.empty((0, values.shape[1]))
    for i in np.lexsort(values.T[::-1]):  # whoever beats a row comes before it
        if not (kept <= values[i]).all(axis=1).any():
            kept = np.vstack([kept, values[i]])
            front[rows[i]] = True
    return front


def _least(frame: pd.DataFrame, quantity: str) -> dict[str, Any]:
    """The row that has least of `quantity`."""
    return rows_of(frame.sort_values([quantity, "macs"], kind="stable").head(1))[0]
