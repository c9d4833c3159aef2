"""The command `mbanalyze memory`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import working
from mbanalyze.peak_memory.timeline import ACCOUNTS, Account

AccountOption = Annotated[
    Account,
    arguments.choice(
        "account", ACCOUNTS, "Account whose tensors are listed and drawn; eager traces the module."
    ),
]


def memory(
    model: arguments.Model,
    given: arguments.ModelOptions,
    account: AccountOption = "ideal",
    dtype: arguments.Dtype = None,
    trace: arguments.Trace = False,
    mode: arguments.RunMode = "eval",
    real: arguments.Real = None,
    keep: arguments.Keep = False,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
    plot: arguments.Plot = None,
    plot_size: arguments.PlotSize = None,
) -> None:
    """Report the peak memory of a model and its tensors.

    The peak is the most bytes of activations that are alive at once.
    The account ideal is the least memory that the order of the operators needs.
    The account eager is the memory that PyTorch holds, and deployed that of an inference engine.
    With --plot, the command draws the bytes alive at each operator, along the depth of the network.

    \b
    mbanalyze memory mobilenet_v2 --dtype int8 --account deployed
    mbanalyze memory resnet50 --resolution 176 --plot memory.png
    mbanalyze memory timm:convnext_tiny --account eager
    mbanalyze memory net.py:build --input 1,3,64,64 --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    with working(trace or account == "eager" or not arguments.is_closed_form(model)):
        found = mbanalyze.memory(
            model,
            *given.inputs,
            account=account,
            dtype=dtype,
            trace=trace,
            mode=mode,
            real=real,
            keep=keep,
            **given.options,
        )
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.memory, found, plot, plot_size)
    publish(found, format, output, files, width=width)
