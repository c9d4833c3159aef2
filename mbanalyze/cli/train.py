"""The command `mbanalyze train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import notify, publish
from mbanalyze.cli.progress import training_bar, working
from mbanalyze.cli.training_options import (
    Download,
    Epochs,
    OptimizerName,
    Rate,
    RecipeName,
    TrainedOn,
    data_option,
)

TrainedModel = Annotated[str, arguments.model_argument(files=False)]
Data = Annotated[str | None, data_option("Images to train on:", "By default, those of the recipe.")]
StepImages = Annotated[
    int | None, typer.Option("--batch", metavar="N", help="Largest number of images in a step.")
]
Seed = Annotated[
    int,
    typer.Option(metavar="N", help="Seed of the initial weights, the order of images and random numbers."),
]
Run = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="RUN", help="Folder of the run: the record and the best weights."),
]
GoOn = Annotated[bool, typer.Option("--resume", help="Go on with the run in RUN, to the same numbers.")]


def train(
    model: TrainedModel,
    given: arguments.NetworkOptions,
    data: Data = None,
    recipe: RecipeName = None,
    epochs: Epochs = None,
    batch: StepImages = None,
    lr: Rate = None,
    optimizer: OptimizerName = None,
    seed: Seed = 0,
    device: TrainedOn = "cpu",
    output: Run = None,
    resume: GoOn = False,
    download: Download = False,
    format: arguments.Format = None,
    width: arguments.Width = None,
) -> None:
    """Train a network to classify images.

    The network gets one output for each class. Images are resized to --resolution (32, or 224 for a folder).
    The command shows the loss and the accuracy of each epoch; the same seed gives the same numbers on one machine.
    With --output, the folder RUN keeps the record in history.json and the weights of the best epoch.
    A run that was stopped goes on with the same command and --resume.

    \b
    mbanalyze train mobilenet_v1 --alpha 0.25
    mbanalyze train mobilenet_v1 --alpha 0.25 --epochs 30 --seed 1 -o run
    mbanalyze train mobilenet_v2 --data folder:photos -o run
    mbanalyze train mobilenet_v2 --data folder:photos -o run --resume
    mbanalyze train mobilenet_v1 --recipe cifar10-224 --download -o run
    mbanalyze train net.py:build --data digits --resolution 28 --format csv
    """  # noqa: D301 (the character keeps typer from joining the lines)
    format = choose_format(format, None)
    for name in given.options:
        arguments.refuse_own(name, mbanalyze.train)
    if resume and output is None:
        raise arguments.UsageError("--resume goes on with the run in a folder: give --output RUN too")
    try:
        with working(False), training_bar() as progress:
            trained = mbanalyze.train(
                model,
                data=data,
                recipe=recipe,
                epochs=epochs,
                batch=batch,
                lr=lr,
                optimizer=optimizer,
                seed=seed,
                device=device,
                output=output,
                resume=resume,
                download=download,
                progress=progress,
                **given.options,
            )
    except KeyboardInterrupt:
        if output is not None:
            notify(
                f"stopped: the same command with --resume goes on after the last finished epoch in {output}"
            )
        raise
    publish(trained, format, width=width)
