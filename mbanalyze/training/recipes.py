"""The settings of a training run, and the recipes by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import cos, inf, pi
from typing import Any, Literal, get_args

from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import is_whole

Schedule = Literal["one-cycle", "constant"]
"""The course of the learning rate: it rises for a fifth of the steps and falls as a cosine to zero; or constant."""
OPTIMIZER_RATES: Mapping[str, float] = {"adamw": 0.01, "adam": 0.01, "momentum": 0.1, "sgd": 0.1}
"""Name of an optimizer -> the largest learning rate of a run unless another is given."""
_RISING = 0.2


class RecipeError(ValueError):
    """A setting of a training run outside its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The settings of a training run.

    Attributes:
        name: the recipe that these settings vary.
        epochs: the number of times that each training image is seen.
        batch: the largest number of images in a step.
        lr: the largest learning rate.
        optimizer: one of `OPTIMIZER_RATES`.
        schedule: the course of the learning rate.
        weight_decay: the decay of all parameters, as the optimizer defines it.
    """

    name: str = "default"
    epochs: int = 15
    batch: int = 64
    lr: float = OPTIMIZER_RATES["adamw"]
    optimizer: str = "adamw"
    schedule: Schedule = "one-cycle"
    weight_decay: float = 0.05

    def __post_init__(self) -> None:
        choose("optimizer", self.optimizer, OPTIMIZER_RATES)
        choose("schedule", self.schedule, get_args(Schedule))
        for name in ("epochs", "batch"):
            if not (is_whole(given := getattr(self, name)) and given >= 1):
                raise RecipeError(f"{name} must be a whole number from 1, not {given!r}")
        for name, least in (("lr", 0), ("weight_decay", -1)):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | float) or not least < given < inf:
                raise RecipeError(f"{name} must be a number above {max(least, 0)}, not {given!r}")

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, counted from 0, in a run of `steps`."""
        if self.schedule == "constant":
            return float(self.lr)
        rising = max(1, round(_RISING * steps))
        if step < rising:
            return self.lr * (step + 1) / rising
        return self.lr * (1 + cos(pi * (step + 1 - rising) / (steps + 1 - rising))) / 2


@dataclass(frozen=True, slots=True)
class Preset:
    """A recipe with the data and the image size that it is for.

    Attributes:
        recipe: its settings.
        data: its data set.
        side: the side of its images in pixels; None for that of the data set.
        source: the publication of the settings, or "".
    """

    recipe: Recipe
    data: str = "digits"
    side: int | None = None
    source: str = ""


RECIPES: Mapping[str, Preset] = {
    "default": Preset(Recipe()),
    "cifar10-224": Preset(
        Recipe(
            name="cifar10-224",
            epochs=10,
            batch=16,
            lr=1e-4,
            optimizer="adam",
            schedule="constant",
            weight_decay=0.0,
        ),
        data="cifar10",
        side=224,
        source="tutorials that train MobileNetV1 on CIFAR-10 with images enlarged to 224 x 224",
    ),
}
"""The recipes by name. They claim no accuracy."""


def chosen_recipe(name: str | None, **given: Any) -> Recipe:
    """Return a recipe with the settings that the user gives; None is no setting.

    Another optimizer brings its own learning rate, unless one is given.

    Raises:
        ChoiceError: the recipe or the optimizer is unknown.
        RecipeError: a setting is out of range.
    """
    base = RECIPES[choose("recipe", "default" if name is None else name, RECIPES)].recipe
    settings = {key: value for key, value in given.items() if value is not None}
    optimizer = settings.get("optimizer", base.optimizer)
    if optimizer != base.optimizer and "lr" not in settings:
        settings["lr"] = OPTIMIZER_RATES[choose("optimizer", optimizer, OPTIMIZER_RATES)]
    return replace(base, **settings)


def as_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe by name."""
    return {each.name: getattr(recipe, each.name) for each in fields(recipe)}
