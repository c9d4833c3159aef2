"""The result of a search in a space: every network that was tried, and the best within the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.spaces.candidate import Candidate
from mbanalyze.spaces.space import Space
from mbanalyze.spaces.stage_table import stage_rows

if TYPE_CHECKING:
    import pandas as pd

SPACE_SEARCH_SCHEMA = "mbanalyze.space_search/1"


class Tried(NamedTuple):
    """A network that a search tried.

    Attributes:
        candidate: the network with its costs.
        value: the value of the objective; None for a network that exceeds a limit, if a function gives the value.
        fits: True if it is within all limits.
    """

    candidate: Candidate
    value: float | None
    fits: bool


@dataclass(frozen=True, eq=False, repr=False)
class SpaceSearch(Result):
    """The networks of a space that a search tried, and the best within the limits.

    Attributes:
        space: the space, with the options that the user gave.
        objective: the quantity to maximise: `macs`, or the name of a function.
        limits: the limit of each limited total.
        tried: the networks, each once, in the order in which they were tried.
        trials: the trials that were made; several may be of the same network.
        planned: the trials that were asked for.
        seed: the seed of the proposals.
        dtype: the element type of bytes.
        profile: predicts the time; None if no time is predicted.
        board: the name of the board whose memory limits the networks; "" for none.
    """

    space: Space
    objective: str
    limits: Mapping[str, int | float]
    tried: tuple[Tried, ...]
    trials: int
    planned: int
    seed: int
    dtype: str
    profile: Profile | None = None
    board: str = ""

    @property
    def is_exhaustive(self) -> bool:
        """True if every network of the space was tried."""
        return len(self.tried) == self.space.size

    @property
    def is_interrupted(self) -> bool:
        """True if the search was stopped before its last trial."""
        return self.trials < self.planned and not self.is_exhaustive

    @cached_property
    def fitting(self) -> tuple[Tried, ...]:
        """The networks within all limits: the best first, and the one with fewer params of two that are equal."""
        fits = [each for each in self.tried if each.fits]
        return tuple(sorted(fits, key=lambda each: (-(each.value or 0), each.candidate.costs["params"])))

    @property
    def best(self) -> Candidate | None:
        """The best network within all limits; None if none is."""
        return self.fitting[0].candidate if self.fitting else None

    @property
    def costs(self) -> tuple[str, ...]:
        """The totals that the front minimises: those that are limited, or params, but not the objective."""
        return tuple(name for name in self.limits if name != self.objective) or ("params",)

    @cached_property
    def front(self) -> tuple[Tried, ...]:
        """The Pareto front of `fitting`, the best first: higher values, and lower `costs`."""
        found: list[tuple[Tried, tuple[float, ...]]] = []
        for each in self.fitting:
            costs = tuple(each.candidate.costs[name] for name in self.costs)
            if not any(all(a <= b for a, b in zip(other, costs, strict=True)) for _, other in found):
                found.append((each, costs))
        return tuple(each for each, _ in found)

    @property
    def exceeding(self) -> dict[str, int]:
        """The number of networks that exceed each limit, the largest first."""
        over = {
            name: sum(each.candidate.costs[name] > limit for each in self.tried)
            for name, limit in self.limits.items()
        }
        return dict(sorted(over.items(), key=lambda item: -item[1]))

    @cached_property
    def stages(self) -> list[dict[str, Any]]:
        """The parts of the best network, from the stem to the head; empty if no network fits."""
        return stage_rows(self.best.spec) if self.best else []

    def records(self, which: str = "variants") -> list[dict[str, Any]]:
        """Return networks as one dict each.

        Args:
            which: `variants` for those within the limits (best first), `front` for the Pareto front, or
                `considered` for all.

        Raises:
            ChoiceError: `which` is unknown.
        """
        chosen = {"variants": self.fitting, "front": self.front, "considered": self.tried}
        return list(self._rows(chosen[choose("rows", which, chosen)]))

    def _rows(self, networks: Sequence[Tried]) -> Iterator[dict[str, Any]]:
        front = {id(each) for each in self.front}
        for each in networks:
            yield {
                "model": each.candidate.model,
                **each.candidate.options,
                "value": each.value,
                **each.candidate.costs,
                "fits": each.fits,
                "front": id(each) in front,
                "reference": each.candidate.reference,
            }

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return list(next(self._rows(self.tried), {}))

    def frame(self, which: str = "variants") -> pd.DataFrame:
        """Return `records(which)` as a frame; raises as `records`."""
        return records.frame(self.records(which), self.columns())

    def as_dict(self) -> dict[str, Any]:
        """Return the search as a JSON document of schema `SPACE_SEARCH_SCHEMA`."""
        best = self.best
        return {
            "schema": SPACE_SEARCH_SCHEMA,
            "space": self.space.name,
            "networks": self.space.size,
            "axes": {name: list(choices) for name, choices in self.space.axes.items()},
            "source": self.space.source,
            "objective": self.objective,
            "limits": dict(self.limits),
            "board": self.board or None,
            "dtype": self.dtype,
            "profile": self.profile and self.profile.settings,
            "seed": self.seed,
            "trials": self.trials,
            "planned": self.planned,
            "exhaustive": self.is_exhaustive,
            "looked_at": len(self.tried),
            "fitting": len(self.fitting),
            "exceeding": self.exceeding,
            "best": self.records()[0] if best else None,
            "reference": best.reference if best else None,
            "command": best.command if best else None,
            "stages": self.stages,
            "front": self.records("front"),
        }
