"""The command `mbanalyze published`."""

from __future__ import annotations

from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli.arguments import Format, Output, Width
from mbanalyze.cli.completion import complete_published
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import publish, require_files
from mbanalyze.cli.progress import progress_bar, working

Family = Annotated[
    str | None,
    typer.Argument(
        metavar="FAMILY",
        help="A family (mobilenet) or a network (mobilenet_v2); all by default.",
        autocompletion=complete_published,
        show_default=False,
    ),
]


def published(
    family: Family = None, format: Format = None, output: Output = None, width: Width = None
) -> None:
    """Give a verdict on published figures.

    Each verdict comes with its arithmetic. A figure is exact, follows another convention, is an erratum, or is unresolved.

    \b
    mbanalyze published mobilenet_v2
    mbanalyze published shufflenet -o shufflenet.md
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    with working(False), progress_bar("counting networks") as progress:
        verdicts = mbanalyze.published(family, progress=progress)
    publish(verdicts, format, output, width=width)
