"""Results on stdout or in a file, and plots in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mbanalyze.cli.arguments import UsageError
from mbanalyze.display.files import OutputError, require_writable, write
from mbanalyze.display.result import Result, view_of
from mbanalyze.display.terminal import renderable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READABLE = 1_000
"""The largest number of rows on a terminal."""


def show(result: Result, format: str, output: Path | None = None, **options: Any) -> None:
    """Print a result in a format, or write it to a file.

    Args:
        result: the result.
        format: one of its formats; a table has colours on a terminal.
        output: the file; None or `-` for stdout.
        options: settings of the view.
    """
    console = Console()
    if format == "table" and console.is_terminal and _is_stdout(output):
        console.print(renderable(view_of(result, **options), console.width), soft_wrap=True)
        return
    text = result.to(format, **options)
    emit(text if _unicode() or format != "table" else text.translate(_ASCII), output)


def emit(text: str, output: Path | None = None) -> None:
    """Print text, or write it to a file; None or `-` is stdout."""
    if output is None or _is_stdout(output):
        sys.stdout.write(text)
    else:
        write(output, text)


def draw(plot: Callable[..., Axes], result: Result, file: Path, **options: Any) -> None:
    """Save a plot of a result; if the result does not allow the plot, say so on stderr."""
    from mbanalyze import plots

    try:
        plots.save(plot(result, **options), file)
    except plots.PlotError as error:
        print(f"mbanalyze: nothing is drawn: {error}", file=sys.stderr)


def require_files(output: Path | None, plot: Path | None = None) -> None:
    """Check the files of a command before long work.

    Raises:
        OutputError: a file cannot be written, or both are the same.
        PlotError: a plot cannot have this format.
    """
    for file in (output, plot):
        require_writable(file)
    if plot is None:
        return
    from mbanalyze import plots

    plots.check_format(plot)
    if output is not None and output.resolve() == plot.resolve():
        raise OutputError(f"--output and --plot are both {plot}: give two files")


def require_readable(rows: int, format: str, output: Path | None) -> None:
    """Raise `UsageError` if the result has too many rows for a terminal or for a text table."""
    on_terminal = _is_stdout(output) and sys.stdout.isatty()
    if rows > READABLE and (on_terminal or (format in ("table", "markdown") and rows > 10 * READABLE)):
        raise UsageError(
            f"{rows:,} variants are too many to read: give fewer, or --format csv with --output FILE"
        )


def require_page(output: Path | None) -> None:
    """Check that an HTML page can be made and goes to a file or pipe.

    Raises:
        PageError: a package that makes the page is not installed.
        UsageError: the page would go to a terminal.
    """
    from mbanalyze.report.page import require_packages

    require_packages()
    if _is_stdout(output) and sys.stdout.isatty():
        raise UsageError("a terminal cannot show an HTML page: give --output FILE.html")


_ASCII = str.maketrans("─█▏▎▍▌▋▊▉≥", "-#.......>")


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _is_stdout(output: Path | None) -> bool:
    return output is None or str(output) == "-"
