"""`search_space`: the best networks of a space within limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.sources.timed_reports import given_profile
from mbanalyze.spaces.boards import Board, find_board
from mbanalyze.spaces.candidate import Candidate, costed
from mbanalyze.spaces.given_space import given_space
from mbanalyze.spaces.objective import Objective, find_objective
from mbanalyze.spaces.space import Choices, Space, SpaceError, whole
from mbanalyze.spaces.space_result import SpaceSearch, Tried
from mbanalyze.spaces.study import KeptTrials, Proposer, distributions, finished_trial, kept_in
from mbanalyze.sweep.given_limits import Limit, limits_of
from mbanalyze.sweep.predicted_columns import digest, dtype_with

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TRIALS = 400
"""The trials of a search, unless the user gives another number."""


class TrialsDone(float):
    """The finished fraction of a search, from 0 to 1.

    Attributes:
        done: trials that are finished.
        total: all of them.
        best: the value of the best network within the limits so far; None without one.
    """

    done: int
    total: int
    best: float | None

    def __new__(cls, done: int, total: int, best: float | None) -> Self:
        """Make the fraction `done / total`."""
        made = super().__new__(cls, done / total)
        made.done, made.total, made.best = done, total, best
        return made


def search_space(
    space: str | Space,
    *,
    max_macs: Limit | None = None,
    max_params: Limit | None = None,
    max_memory_access: Limit | None = None,
    max_activations: Limit | None = None,
    max_peak: Limit | None = None,
    max_peak_deployed: Limit | None = None,
    max_ms: Limit | None = None,
    board: str | None = None,
    objective: str | Callable[[Candidate], float] | None = None,
    dtype: str | None = None,
    profile: AnyPath | Profile | None = None,
    trials: int | None = None,
    seed: int | None = None,
    study: AnyPath | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> SpaceSearch:
    """Find the best networks of a space within limits: Optuna's NSGA-II over kernels, expansions, depths and widths.

    A space with at most `trials` networks is tried completely, without Optuna.
    After Ctrl-C, the networks that were tried until then are the result.

    Args:
        space: `mobilenet_v2` or `mobilenet_v3`, or a `Space`.
        max_macs, max_params, max_memory_access, max_activations: limits for one image, as for `search`.
        max_peak, max_peak_deployed, max_ms: limits, as for `search`.
        board: limits the deployed peak by the SRAM and the params by the flash: `stm32f412`, `stm32f746`,
            `stm32h743`, or sizes such as `"256KiB,1MiB"`. `max_peak_deployed` and `max_params` precede it.
        objective: the quantity to maximise: `macs` (default), which is a proxy of accuracy and no accuracy.
            Or a function, or `file.py:function`, that gets a `Candidate` within the limits and returns a number.
        dtype: element type for bytes; by default that of `profile`, or int8 with `board`, or else float32.
        profile: predicts the time of each network, as for `search`.
        trials: the number of networks to try, 400 by default; a network may be tried twice, but is costed once.
        seed: the seed of the proposals, 0 by default.
        study: a file of SQLite that keeps every trial. A search with the same options continues it.
        progress: called with `TrialsDone` after each trial.
        options: values of the architecture's options, in place of those of the space: one, or a list to choose from.

    Raises:
        SpaceError: the space or board is unknown, or Optuna is not installed. Or the objective is unknown or fails.
        StudyError: `study` is no study, or that of another search.
        SearchError: a limit is malformed.
        OptionError, GridError: an option is unknown or has invalid values.
        SourceError: the file of `objective` cannot be imported.
        ChoiceError, ProfileError, PredictionError, UnmeasuredError: `dtype` or `profile` is invalid.
    """
    found, memory = given_space(space, options), find_board(board) if board else None
    machine = None if profile is None else given_profile(profile)
    dtype = choose("dtype", dtype_with(machine, dtype) or ("int8" if memory else "float32"), ITEM_SIZES)
    limits = limits_of(
        max_macs, max_params, max_memory_access, max_activations, max_peak, max_peak_deployed, max_ms
    )
    limits = {**_limits_of_board(memory, dtype), **limits}
    if machine is None and "predicted_ms" in limits:
        raise SpaceError("max_ms needs a profile, which 'mbanalyze calibrate' makes")
    search = _Search(
        found,
        find_objective(objective),
        limits,
        dtype,
        machine,
        whole("trials", trials, TRIALS, 1),
        whole("seed", seed, 0, 0),
        progress or (lambda _: None),
    )
    try:
        with kept_in(Path(study) if study is not None else None, search.settings()) as kept:
            search.run(kept)
    except KeyboardInterrupt:
        pass
    return search.result(memory.name if memory else "")


def _limits_of_board(board: Board | None, dtype: str) -> dict[str, int | float]:
    if board is None:
        return {}
    return {"params": board.max_params(ITEM_SIZES[dtype]), "peak_bytes_deployed": board.sram_bytes}


@dataclass(slots=True)
class _Search:
    """A search while it runs: its settings, and the networks that were tried."""

    space: Space
    objective: Objective
    limits: Mapping[str, int | float]
    dtype: str
    profile: Profile | None
    planned: int
    seed: int
    progress: Callable[[float], None]
    tried: dict[str, Tried] = field(default_factory=dict)
    trials: int = 0
    best: float | None = None

    def settings(self) -> dict[str, Any]:
        """The settings that all trials of a study share."""
        return {
            "space": self.space.name,
            "options": {name: list(choices) for name, choices in self.space.axes.items()},
            "objective": self.objective.name,
            "limits": dict(self.limits),
            "dtype": self.dtype,
            "profile": None if self.profile is None else digest(self.profile),
            "seed": self.seed,
        }

    def result(self, board: str) -> SpaceSearch:
        """The networks that were tried until now."""
        return SpaceSearch(
            self.space,
            self.objective.name,
            self.limits,
            tuple(self.tried.values()),
            self.trials,
            self.planned,
            self.seed,
            self.dtype,
            self.profile,
            board,
        )

    def run(self, kept: KeptTrials) -> None:
        """Try every network, or the proposed ones; the trials that are kept come first."""
        known = kept.trials()
        for trial in known[: self.planned]:
            self._try(trial.params, trial.value)
        if self.space.size <= self.planned:
            self._run_all(kept, bool(known))
        else:
            self._run_proposed(kept, known[: self.planned])

    def _run_all(self, kept: KeptTrials, resumed: bool) -> None:
        axes: Mapping[str, Any] | None = None
        known = set(self.tried) if resumed else set()
        for choices in self.space.every():
            if self._key(choices) not in known:
                tried = self._try(choices)
                if kept.keeps:
                    axes = axes or distributions(self.space.axes)
                    kept.add(finished_trial(axes, choices, *self._outcome(tried)))

    def _run_proposed(self, kept: KeptTrials, known: list[FrozenTrial]) -> None:
        proposer = Proposer(self.space.axes, self.seed)
        proposer.remember(known)
        for number in range(len(known), self.planned):
            trial = proposer.propose(number)
            tried = self._try(trial.params)
            kept.add(proposer.tell(trial, *self._outcome(tried)))

    def _try(self, choices: Choices, value: float | None = None) -> Tried:
        """The network with some choices, from memory if it was tried before; `value` is known from a file."""
        key = self._key(choices)
        if key not in self.tried:
            self.tried[key] = self._cost(choices, value)
        found = self.tried[key]
        self.trials += 1
        if found.fits and found.value is not None:
            self.best = found.value if self.best is None else max(self.best, found.value)
        self.progress(TrialsDone(self.trials, min(self.planned, self.space.size), self.best))
        return found

    def _key(self, choices: Choices) -> str:
        return repr([choices[name] for name in self.space.axes])

    def _cost(self, choices: Choices, value: float | None) -> Tried:
        candidate = costed(self.space.architecture, self.space.options_of(choices), self.dtype, self.profile)
        fits = all(candidate.costs[name] <= limit for name, limit in self.limits.items())
        if self.objective.function is None or (fits and value is None):
            return Tried(candidate, self.objective.of(candidate), fits)
        return Tried(candidate, value if fits else None, fits)

    def _outcome(self, tried: Tried) -> tuple[float, dict[str, float]]:
        """The value of a trial, 0 if it is unknown, and its relative excess over each limit."""
        costs = tried.candidate.costs
        return tried.value or 0.0, {
            name: (costs[name] - limit) / limit for name, limit in self.limits.items()
        }
