"""The command `mbanalyze compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli.ablate import Accuracy, Published
from mbanalyze.cli.arguments import (
    Convention,
    Format,
    Fused,
    Input,
    Output,
    Plot,
    PlotSize,
    Profile,
    Width,
    inputs_of,
)
from mbanalyze.cli.completion import complete_model
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import working

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="Two or more models, as for 'mbanalyze report'.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Top = Annotated[int, typer.Option(min=1, metavar="N", help="Number of kinds, stages and layers to show.")]


def compare(
    models: Models,
    input: Input = None,
    fused: Fused = False,
    convention: Convention = None,
    profile: Profile = None,
    top: Top = 10,
    accuracy: Accuracy = None,
    published: Published = False,
    format: Format = None,
    output: Output = None,
    width: Width = None,
    plot: Plot = None,
    plot_size: PlotSize = None,
) -> None:
    """Compare two or more models.

    The command compares each model with the first: totals, ratios, and changes by kind of operator and by stage.
    For two models, it also aligns their layers, and lists the largest changes first.
    Published accuracy is shown where it is known, or your own with --accuracy.
    With --input, you give the input of every model that has none of its own.
    With --profile, it predicts the time of each model, and says which is faster, or that it is too close to call.
    With --plot, the command draws the totals of each model relative to the first.

    \b
    mbanalyze compare mobilenet_v2 mobilenet_v2@alpha=0.75,resolution=192
    mbanalyze compare mobilenet_v1 mobilenet_v2 shufflenet_v2 --format markdown
    mbanalyze compare mobilenet_v1 mobilenet_v2 --convention thop
    mbanalyze compare mobilenet_v1 mobilenet_v2 --profile ci-runner.json
    mbanalyze compare net.py:build net.py:build@width=16 --input 1,3,64,64
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    inputs, keywords = inputs_of(input)
    with working(True):
        comparison = mbanalyze.compare(
            *models,
            inputs=inputs,
            fused=fused,
            convention=convention,
            profile=profile,
            accuracy=accuracy,
            published=published,
            **keywords,
        )
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.comparison, comparison, plot, plot_size)
    publish(comparison, format, output, files, top=top, width=width, flags=True)
