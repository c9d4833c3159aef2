"""The command `mbanalyze explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli.arguments import (
    Format,
    HighPlotSize,
    Keep,
    Model,
    ModelOptions,
    Output,
    Plot,
    Real,
    Width,
    checked,
)
from mbanalyze.cli.completion import matching
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import working
from mbanalyze.crosscheck.counters import COUNTERS
from mbanalyze.inputs.choices import choose

Counters = Annotated[
    list[str] | None,
    typer.Option(
        parser=checked(lambda given: choose("counter", given, COUNTERS)),
        autocompletion=lambda incomplete: matching(COUNTERS, incomplete),
        metavar="NAME",
        help=f"A counter to run; repeatable. By default all of {', '.join(COUNTERS)}.",
    ),
]
TimeLimit = Annotated[float, typer.Option(metavar="SECONDS", help="Give up on a counter that takes longer.")]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Exit with 1 if a counter gives no total, or a part of its gap is unexplained."
    ),
]


def explain(
    model: Model,
    given: ModelOptions,
    counter: Counters = None,
    real: Real = None,
    keep: Keep = False,
    time_limit: TimeLimit = 120,
    format: Format = None,
    output: Output = None,
    width: Width = None,
    plot: Plot = None,
    plot_size: HighPlotSize = None,
    strict: Strict = False,
) -> int:
    """Explain the totals of other counters.

    The command runs each installed counter on the module, in a process of its own.
    It lists the differences between the counter's total and our macs, each with the rule that causes it.
    The differences sum to the gap exactly, or the rest is called unexplained.
    A counter that is not installed, fails or takes too long is listed with the reason.
    With --plot, the command draws a panel for each counter, from our macs through the differences to its total.

    \b
    mbanalyze explain mobilenet_v2
    mbanalyze explain mobilenet_v2 --counter fvcore --counter thop --batch 2
    mbanalyze explain net.py:build --input 1,3,64,64 --format json
    mbanalyze explain mobilenet_v2 --counter ptflops --plot gap.svg
    mbanalyze explain torchvision:resnet18 --strict -o resnet18.md
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    with working(True) as progress:
        explained = mbanalyze.explain(
            model,
            *given.inputs,
            counters=counter,
            real=real,
            keep=keep,
            time_limit=time_limit,
            progress=progress,
            **given.options,
        )
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        try:
            files = drawn(plots.waterfall, explained, plot, plot_size)
        except plots.PlotError:
            publish(explained, format, output, width=width)  # the runs took long
            raise
    publish(explained, format, output, files, width=width)
    return int(strict and not explained.explained)
