"""The plan of a training of many variants: data, settings, seeds and folder."""

from __future__ import annotations

from dataclasses import dataclass

from mbanalyze.inputs.typed import AnyPath, is_whole
from mbanalyze.training.data_names import split_data
from mbanalyze.training.recipes import RECIPES, Preset, RecipeError, chosen_recipe


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The way in which `ablate` trains variants.

    Attributes:
        data: the data set, as for `train`; None for that of the recipe.
        runs: the folder that gets a folder for each run; finished runs in it are read, and stopped ones go on.
            None for no folder.
        seeds: the number of runs of each variant, with the seeds 0, 1, 2 and so on.
        epochs, batch, lr, optimizer, recipe, device, download: as for `train`.
        threads: the threads of torch in each run, which influence the last digits of its numbers.

    Raises:
        RecipeError: a setting is out of range.
        DataError: there is no such data set.
        ChoiceError: the recipe or the optimizer is unknown.
    """

    data: str | None = None
    runs: AnyPath | None = None
    seeds: int = 1
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    optimizer: str | None = None
    recipe: str | None = None
    device: str = "cpu"
    download: bool = False
    threads: int = 1

    def __post_init__(self) -> None:
        if not (is_whole(self.seeds) and self.seeds >= 1):
            raise RecipeError(f"seeds must be a whole number from 1, not {self.seeds!r}")
        chosen_recipe(self.recipe, epochs=self.epochs, batch=self.batch, lr=self.lr, optimizer=self.optimizer)
        split_data(self.data_name)

    @property
    def preset(self) -> Preset:
        """The recipe with its data."""
        return RECIPES[self.recipe or "default"]

    @property
    def data_name(self) -> str:
        """The data set."""
        return self.preset.data if self.data is None else self.data


def as_plan(given: str | TrainingPlan) -> TrainingPlan:
    """Return a plan; a text is a data set. Errors as for `TrainingPlan`."""
    return given if isinstance(given, TrainingPlan) else TrainingPlan(given)
