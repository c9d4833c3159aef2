"""The command `mbanalyze predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.arguments import UsageError
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import working
from mbanalyze.cli.report import By, Top
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.data_sheet import data_sheets
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.timing.predicting import require_one_machine
from mbanalyze.timing.sheet_rows import EXECUTIONS, Execution

ProfileFile = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="FILE.json",
        help="The speed of a machine: a file that 'mbanalyze calibrate' writes. Give this or --device.",
        show_default=False,
    ),
]
Device = Annotated[
    str | None,
    arguments.choice(
        "device", data_sheets(), "GPU whose data sheet gives a relative time, which orders networks."
    ),
]
ExecutionOption = Annotated[
    Execution | None,
    arguments.choice(
        "execution",
        EXECUTIONS,
        "Operators on the GPU: as PyTorch runs them (default), or merged by an engine.",
    ),
]
MachineDtype = Annotated[
    str | None,
    arguments.choice(
        "dtype", ITEM_SIZES, "Element type: that of the profile, or float16 (default) or float32 on a GPU."
    ),
]


def predict(
    model: arguments.Model,
    given: arguments.ModelOptions,
    profile: ProfileFile = None,
    device: Device = None,
    execution: ExecutionOption = None,
    dtype: MachineDtype = None,
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
    """Predict the time of a model on a machine, or its relative time.

    The time is that of one forward pass in eager PyTorch, in eval mode.
    It is arithmetic on the counts of the model: nothing runs, and every machine predicts the same.
    With --device, it is relative to mobilenet_v2 instead of in milliseconds, by the data sheet of a GPU.
    With --plot, the command draws the time of each operator along the depth of the network, and the roofline.

    \b
    mbanalyze predict mobilenet_v2 --profile laptop.json
    mbanalyze predict mobilenet_v2 --profile laptop.json --top 10
    mbanalyze predict resnet50 --resolution 176 --profile laptop.json --by kind
    mbanalyze predict timm:convnext_tiny --profile laptop.json --plot time.png
    mbanalyze predict net.py:build --input 1,3,64,64 --profile laptop.json -f json
    mbanalyze predict shufflenet_v2 --device rtx4090 --batch 256 --execution fused
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_one_machine(profile, device, execution)
    if device and plot:
        raise UsageError("--plot draws milliseconds: give --profile FILE.json instead of --device")
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    machine: dict[str, Any] = {"device": device, "execution": execution}
    if profile is not None:
        machine = {"profile": read_profile(profile)}  # its errors come before long work
    with working(trace or not arguments.is_closed_form(model)):
        found = mbanalyze.predict(
            model,
            *given.inputs,
            dtype=dtype,
            trace=trace,
            real=real,
            keep=keep,
            **machine,
            **given.options,
        )
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.prediction, found, plot, plot_size)
    publish(found.by(by) if by else found, format, output, files, width=width, top=top)
