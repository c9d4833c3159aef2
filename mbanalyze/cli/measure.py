"""The command `mbanalyze measure`."""

from __future__ import annotations

from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.completion import complete_model
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import publish, require_files
from mbanalyze.cli.progress import progress_bar, working
from mbanalyze.profiles.time_profile import TIMED_DTYPES

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="One or more models, as for 'mbanalyze report'. Options of a model apply to each of them.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Threads = Annotated[int | None, arguments.threads_option("those of --profile, or torch's own number")]
Cast = Annotated[
    str | None,
    arguments.choice(
        "dtype", TIMED_DTYPES, "Element type to cast to; by default that of --profile, or the model's own."
    ),
]


def measure(
    model: Models,
    given: arguments.ModelOptions,
    device: arguments.Device = "cpu",
    threads: Threads = None,
    dtype: Cast = None,
    seconds: arguments.Seconds = 5.0,
    profile: arguments.Profile = None,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
) -> None:
    """Measure the time of a model on this machine.

    The model runs in eval mode, in rounds. The command shows the median of the rounds and the quartiles.
    Several models alternate in the same rounds, so that a slow moment affects all of them.
    With --input, you give the input of every model that has none of its own.
    With --profile, the predicted time and its interval stand beside the median.

    \b
    mbanalyze measure mobilenet_v2 --threads 1
    mbanalyze measure mobilenet_v1 mobilenet_v2 shufflenet_v2 --resolution 160
    mbanalyze measure timm:convnext_atto --profile machine.json
    mbanalyze measure net.py:build --input 1,3,64,64 --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    with working(False), progress_bar("measuring") as progress:
        measured = mbanalyze.measure(
            model,
            *given.inputs,
            device=device,
            threads=threads,
            dtype=dtype,
            seconds=seconds,
            profile=profile,
            progress=progress,
            **given.options,
        )
    publish(measured, format, output, width=width)
