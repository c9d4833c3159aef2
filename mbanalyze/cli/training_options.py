"""The options of a training, for `train` and for the variants of `ablate`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mbanalyze.cli import arguments
from mbanalyze.cli.completion import matching
from mbanalyze.cli.formats import PICTURES, SUFFIXES
from mbanalyze.training.data_names import DATA
from mbanalyze.training.recipes import OPTIMIZER_RATES, RECIPES

if TYPE_CHECKING:
    from mbanalyze.training.plan import TrainingPlan

NAMES_OF_DATA = (
    "digits (1,797 handwritten digits of scikit-learn), cifar10 or cifar10:PATH, "
    "or folder:PATH with one folder of images for each class."
)


def data_option(start: str, end: str = "") -> Any:
    """Declare an option that names a data set."""
    return typer.Option(
        metavar="DATA",
        help=" ".join(filter(None, [start, NAMES_OF_DATA, end])),
        autocompletion=lambda incomplete: matching(DATA, incomplete),
        show_default=False,
    )


RecipeName = Annotated[
    str | None, arguments.choice("recipe", RECIPES, "Settings of the training that its other options vary.")
]
Epochs = Annotated[int | None, typer.Option(metavar="N", help="Times that each training image is seen.")]
Rate = Annotated[
    float | None, typer.Option("--lr", metavar="NUMBER", help="Largest learning rate of the training.")
]
OptimizerName = Annotated[
    str | None, arguments.choice("optimizer", OPTIMIZER_RATES, "Optimizer of the training.")
]
TrainedOn = Annotated[str, typer.Option(metavar="NAME", help="Device that trains: cpu or cuda.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch CIFAR-10 (170 MB) if it is not there.")]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The options of `ablate` that train its variants."""

    train: Annotated[
        str | None,
        data_option(
            "Train every variant, and show its accuracy. DATA is", "--output is the folder of the runs."
        ),
    ] = None
    seeds: Annotated[
        int, typer.Option(metavar="N", help="Runs of each variant, with the seeds 0, 1, ...")
    ] = 1
    recipe: RecipeName = None
    epochs: Epochs = None
    lr: Rate = None
    optimizer: OptimizerName = None
    device: TrainedOn = "cpu"
    download: Download = False

    def plan(self, output: Path | None) -> TrainingPlan | None:
        """Return the plan of the training, whose runs are in `output`; None without `--train`.

        Raises:
            UsageError: an option of the training is given without `--train`, or `output` has the suffix of a table.
        """
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "train"}
        if self.train is None:
            others = [name for name, value in given.items() if value != _DEFAULTS[name]]
            if others:
                raise arguments.UsageError(f"--{others[0]} is about training: give --train DATA too")
            return None
        if output and output.suffix.lower() in (*SUFFIXES, *PICTURES):
            raise arguments.UsageError(
                f"with --train, --output is the folder of the runs, not {output}: --format prints the table"
            )
        from mbanalyze.training.plan import TrainingPlan

        return TrainingPlan(self.train, runs=output, **given)


_DEFAULTS = {each.name: each.default for each in fields(TrainingOptions)}
