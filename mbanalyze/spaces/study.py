"""Proposals of Optuna's NSGA-II under constraints, and the file that keeps every trial.

NSGA-II: Deb et al., 2002. A trial that exceeds limits is worse than every trial that does not.
Of two trials that exceed limits, the one with the smaller sum of relative excesses is better.
The random numbers of a trial depend on the seed and its number alone: a resumed search goes on as if never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mbanalyze.sources.references import summarize
from mbanalyze.spaces.space import Choices, SpaceError

if TYPE_CHECKING:
    from types import ModuleType

    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

POPULATION, MUTATION = 20, 0.1
"""Trials of a generation, and the probability that a choice of a proposal is random."""
STUDY_NAME = "mbanalyze"
"""The name of the study in its file."""
_SETTINGS = "search"
"""The attribute of the study with the settings of the search."""


class StudyError(SpaceError):
    """A file that is no study, or that of another search."""


def import_optuna() -> ModuleType:
    """Import Optuna.

    Raises:
        SpaceError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SpaceError(
            "a search in a space needs Optuna: pip install 'mbanalyze[search]', "
            "or set trials to the number of networks of a small space"
        ) from error
    return optuna


class Proposer:
    """Proposes choices, from the outcomes of the choices before."""

    def __init__(self, axes: Mapping[str, tuple[Any, ...]], seed: int) -> None:
        """Start without trials.

        Args:
            axes: the choices on each axis of a space.
            seed: the seed of all random numbers.
        """
        self._optuna, self._seed = import_optuna(), seed
        self.distributions = distributions(axes)
        with _quiet(self._optuna):
            self._study = self._optuna.create_study(direction="maximize")

    def remember(self, trials: list[FrozenTrial]) -> None:
        """Add the trials of a study that was stopped."""
        self._study.add_trials(trials)

    def propose(self, number: int) -> Any:
        """Return the trial with a number, counted from 0; its choices are `params`."""
        self._study.sampler = _sampler(self.distributions, self._seed, number)
        return self._study.ask(self.distributions)

    def tell(self, trial: Any, value: float, excess: Mapping[str, float]) -> FrozenTrial:
        """Finish a trial with its value and its relative excess over each limit, at most 0 if it is within."""
        for name, more in excess.items():
            trial.set_constraint(name, more)
        finished: FrozenTrial = self._study.tell(trial, value)
        return finished


def distributions(axes: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return the axes of a space as Optuna has them."""
    categorical = import_optuna().distributions.CategoricalDistribution
    return {name: categorical(choices) for name, choices in axes.items()}


def finished_trial(
    axes: Mapping[str, Any], choices: Choices, value: float, excess: Mapping[str, float]
) -> Any:
    """Return a finished trial that nothing proposed; arguments as for `Proposer.tell`."""
    create = import_optuna().trial.create_trial
    return create(params=dict(choices), distributions=dict(axes), value=value, constraints=dict(excess))


@cache
def _sampler_class() -> Any:
    """The class of a sampler that knows the axes, and whose parents have one order, also in a resumed study."""
    from optuna.samplers import NSGAIISampler

    class Sampler(NSGAIISampler):  # type: ignore[misc, unused-ignore]
        axes: Mapping[str, Any]

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:  # noqa: ARG002
            """Return the axes with more than one choice."""
            return {name: axis for name, axis in self.axes.items() if not axis.single()}

        def select_parent(self, study: Any, generation: int) -> list[FrozenTrial]:
            """Return the parents of a generation in the order of their numbers."""
            parents: list[FrozenTrial] = super().select_parent(study, generation)
            return sorted(parents, key=lambda trial: trial.number)

    return Sampler


def _sampler(axes: Mapping[str, Any], seed: int, number: int) -> BaseSampler:
    """The sampler of a trial."""
    mixed = (seed * 1_000_003 + number) % 2**32
    made: Any = _sampler_class()(population_size=POPULATION, mutation_prob=MUTATION, seed=mixed)
    made.axes = axes
    return made  # type: ignore[no-any-return]


class KeptTrials(Protocol):
    """A place for trials.

    Attributes:
        keeps: True if it keeps them.
    """

    keeps: bool

    def trials(self) -> list[FrozenTrial]:
        """Return the trials that are kept."""

    def add(self, trial: FrozenTrial) -> None:
        """Keep one more."""


class _Nowhere:
    """No file."""

    keeps = False

    def trials(self) -> list[FrozenTrial]:
        """Return no trials."""
        return []

    def add(self, trial: FrozenTrial) -> None:
        """Do nothing."""


class _File:
    """A study in a file of SQLite."""

    keeps = True

    def __init__(self, study: Any) -> None:
        self._study = study

    def trials(self) -> list[FrozenTrial]:
        """Return the finished trials."""
        complete = import_optuna().trial.TrialState.COMPLETE
        trials: list[FrozenTrial] = self._study.get_trials(states=(complete,))
        return trials

    def add(self, trial: FrozenTrial) -> None:
        """Write one more into the file."""
        self._study.add_trial(trial)


@contextmanager
def kept_in(file: Path | None, settings: Mapping[str, Any]) -> Iterator[KeptTrials]:
    """Open the study in a file, or make it; without a file, nothing is kept.

    Args:
        file: the file, or None.
        settings: the settings of the search, which JSON can hold.

    Raises:
        StudyError: the file is no study, or that of a search with other settings.
    """
    if file is None:
        yield _Nowhere()
        return
    optuna = import_optuna()
    new, storage = not file.exists(), None
    try:
        with _quiet(optuna):
            storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
            study = optuna.create_study(
                storage=storage, study_name=STUDY_NAME, load_if_exists=True, direction="maximize"
            )
    except Exception as error:
        if storage is not None:
            storage.engine.dispose()
        if new:
            file.unlink(missing_ok=True)
        raise StudyError(f"{file} is no study of a search ({summarize(error)}): give another file") from error
    try:
        _require_same(file, study, json.loads(json.dumps(settings)))
        yield _File(study)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _require_same(file: Path, study: Any, settings: Mapping[str, Any]) -> None:
    """Write the settings into a study without trials, or raise `StudyError` if they differ."""
    known = study.user_attrs.get(_SETTINGS)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(_SETTINGS, settings)
        return
    differing = [name for name, value in settings.items() if (known or {}).get(name) != value]
    if differing:
        raise StudyError(
            f"{file} has a search with another {', '.join(differing)}: give another file, or the same options"
        )


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Inside the `with` block, Optuna logs only errors."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
