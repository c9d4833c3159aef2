"""The command `mbanalyze predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import working
from mbanalyze.cli.report import By, Top
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.profile_file import read_profile

ProfileFile = Annotated[
    Path,
    typer.Option(
        "--profile",
        metavar="FILE.json",
        help="The speed of a machine: a file that 'mbanalyze calibrate' writes.",
        show_default=False,
    ),
]
ProfileDtype = Annotated[
    str | None,
    arguments.choice("dtype", ITEM_SIZES, "Element type; it has to be that of the profile, the default."),
]


def predict(
    model: arguments.Model,
    given: arguments.ModelOptions,
    profile: ProfileFile,
    dtype: ProfileDtype = None,
    trace: arguments.Trace = False,
    real: arguments.Real = None,
    keep: arguments.Keep = False,
    by: By = None,
    top: Top = None,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
    plot: arguments.Plot = None,
    plot_size: arguments.HighPlotSize = None,
) -> None:
    """Predict the time of a model on the machine of a profile.

    The time is that of one forward pass in eager PyTorch, in eval mode.
    It is arithmetic on the counts of the model: nothing runs, and every machine predicts the same.
    With --plot, the command draws the time of each operator along the depth of the network, and the roofline.

    \b
    mbanalyze predict mobilenet_v2 --profile laptop.json
    mbanalyze predict mobilenet_v2 --profile laptop.json --top 10
    mbanalyze predict resnet50 --resolution 176 --profile laptop.json --by kind
    mbanalyze predict timm:convnext_tiny --profile laptop.json --plot time.png
    mbanalyze predict net.py:build --input 1,3,64,64 --profile laptop.json -f json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    speed = read_profile(profile)  # its errors come before long work
    with working(trace or not arguments.is_closed_form(model)):
        found = mbanalyze.predict(
            model,
            *given.inputs,
            profile=speed,
            dtype=dtype,
            trace=trace,
            real=real,
            keep=keep,
            **given.options,
        )
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.prediction, found, plot, plot_size)
    publish(found.by(by) if by else found, format, output, files, width=width, top=top)
