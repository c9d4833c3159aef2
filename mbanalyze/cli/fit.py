"""The command `mbanalyze fit`."""

from __future__ import annotations

from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import notify, publish, require_files
from mbanalyze.cli.progress import working
from mbanalyze.report.training import TRAINING_DTYPES
from mbanalyze.training_cost.optimizer_state import OPTIMIZERS

Memory = Annotated[
    str,
    typer.Option(
        metavar="BYTES",
        help="Memory to fill: 8 GB, 512 MB, 320kB or 8 GiB; GB are powers of 1000, GiB of 1024.",
        show_default=False,
    ),
]
Optimizer = Annotated[str, arguments.choice("optimizer", OPTIMIZERS, "Optimizer of the training.")]
Cast = Annotated[
    str | None,
    arguments.choice("dtype", TRAINING_DTYPES, "Element type that the model is cast to; by default its own."),
]


def fit(
    model: arguments.Model,
    given: arguments.ModelOptions,
    memory: Memory,
    optimizer: Optimizer = "sgd",
    dtype: Cast = None,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
) -> int:
    """Find the largest batch that fits in memory.

    The command answers for training and for inference.
    A training step holds parameters, buffers, gradients, the state of the optimizer, and what autograd saves.
    Steps run on tensors without data. The batches in the result are measured, and so are those larger by one.
    Of an input, the first size is the batch.
    The exit code is 1 if no batch fits.

    \b
    mbanalyze fit squeezenet1_1 --memory "8 GB" --optimizer adam
    mbanalyze fit torchvision:squeezenet1_1 --memory 512MB --dtype bfloat16
    mbanalyze fit net.py:build --input 1,3,64,64 --memory 1GiB --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    with working(True) as progress:
        found = mbanalyze.fit(
            model, memory, *given.inputs, optimizer=optimizer, dtype=dtype, progress=progress, **given.options
        )
    publish(found, format, output, width=width)
    if not found.fits:
        notify(f"no batch fits in {memory}: give more memory, a smaller input or another --dtype")
    return int(not found.fits)
