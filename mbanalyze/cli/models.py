"""The command `mbanalyze models`."""

from __future__ import annotations

from mbanalyze.archs.catalog import Catalog
from mbanalyze.cli.arguments import Format, Output, Width
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import publish, require_files


def models(format: Format = None, output: Output = None, width: Width = None) -> None:
    """List the known architectures and their options.

    \b
    mbanalyze models
    mbanalyze models --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    publish(Catalog(), format, output, width=width)
