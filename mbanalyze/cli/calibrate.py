"""The command `mbanalyze calibrate`."""

from __future__ import annotations

from math import expm1
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.completion import complete_model
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import notify, publish, require_files
from mbanalyze.cli.progress import progress_bar, working
from mbanalyze.profiles.time_profile import TIMED_DTYPES

Threads = Annotated[int | None, arguments.threads_option("torch's own number")]
Dtype = Annotated[str, arguments.choice("dtype", TIMED_DTYPES, "Element type of weights and activations.")]
Anchors = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL",
        help="A further model to time, whose operators the profile should cover; repeatable. "
        "With --input, you give the input of those that have none of their own.",
        autocompletion=complete_model,
        show_default=False,
    ),
]


def calibrate(
    device: arguments.Device = "cpu",
    threads: Threads = None,
    dtype: Dtype = "float32",
    seconds: arguments.Seconds = 30.0,
    anchor: Anchors = None,
    input: arguments.Input = None,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
) -> None:
    """Measure the speed of this machine.

    Networks of the family run for real at batch 1, operator by operator, and micro-benchmarks time further operators.
    The result is a profile, from which the time of other networks is predicted: save it as a JSON file.
    The command needs SciPy. It takes about a minute, and fails if other programs use the machine.
    A profile is for one machine, device, number of threads and element type.

    \b
    mbanalyze calibrate --output machine.json
    mbanalyze calibrate --threads 1 --output one_thread.json
    mbanalyze calibrate --anchor timm:convnext_atto --seconds 40 -o machine.json
    mbanalyze calibrate --anchor net.py:build --input 1,3,64,64 -o machine.json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    if input and not anchor:
        raise arguments.UsageError("--input is the input of an --anchor: give one")
    inputs, keywords = arguments.inputs_of(input)
    with working(False), progress_bar("calibrating") as progress:
        profile = mbanalyze.calibrate(
            *(anchor or ()),
            inputs=inputs,
            device=device,
            threads=threads,
            dtype=dtype,
            seconds=seconds,
            progress=progress,
            **keywords,
        )
    publish(profile, format, output, width=width)
    if format == "json":
        within = f"{100 * expm1(profile.deviation):.1f} %"
        notify(
            f"{len(profile.classes)} classes of operators; 80 % of networks should be predicted within {within}"
        )
    else:
        notify("a profile is read from JSON alone: save one with --output FILE.json")
