"""The command `mbanalyze evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.completion import matching
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files
from mbanalyze.cli.progress import progress_bar
from mbanalyze.cli.training_options import Download
from mbanalyze.display.files import OutputError
from mbanalyze.training.data_names import DATA

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that 'mbanalyze train --output RUN' wrote.")]
OtherData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME",
        help="Images to classify: digits, cifar10, cifar10:PATH or folder:PATH. By default, the test images of the run.",
        autocompletion=lambda incomplete: matching(DATA, incomplete),
        show_default=False,
    ),
]
PlotFilters = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Draw the filters of each depthwise layer to this .png, .svg or .pdf.",
        show_default=False,
    ),
]


def evaluate(
    run: Run,
    data: OtherData = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Device that classifies: cpu or cuda.")] = "cpu",
    download: Download = False,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
    plot: arguments.Plot = None,
    plot_filters: PlotFilters = None,
    plot_size: arguments.PlotSize = None,
) -> None:
    """Evaluate a trained network on test images.

    The command shows the accuracy and the classes that the network confuses.
    With --plot, it draws the confusion matrix, and images with their true and predicted classes.
    With --plot-filters, it draws the filters of each depthwise layer.

    \b
    mbanalyze evaluate runs/narrow
    mbanalyze evaluate runs/narrow --plot mistakes.png --plot-filters filters.png
    mbanalyze evaluate runs/narrow --data folder:photos --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    for picture in (plot, plot_filters):
        require_files(output, picture)
    require_files(output, plot or plot_filters, plot_size)
    if plot is not None and plot_filters is not None and plot.resolve() == plot_filters.resolve():
        raise OutputError(f"--plot and --plot-filters are both {plot}: give two files")
    format = choose_format(format, output)
    with progress_bar("evaluating") as progress:
        found = mbanalyze.evaluate(run, data=data, device=device, download=download, progress=progress)
    files: dict[Path, str | bytes] = {}
    if plot is not None or plot_filters is not None:
        from mbanalyze import plots

        if plot is not None:
            files |= drawn(plots.evaluation, found, plot, plot_size)
        if plot_filters is not None:
            files |= drawn(plots.filters, found, plot_filters, plot_size)
    publish(found, format, output, files, width=width)
