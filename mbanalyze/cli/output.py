"""Results on stdout or in a file, and plots in a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from mbanalyze.cli.arguments import UsageError
from mbanalyze.display.files import OutputError, append, require_writable, written
from mbanalyze.display.records import one_line
from mbanalyze.display.result import Result, view_of
from mbanalyze.display.terminal import UNLIMITED, renderable, terminal_width
from mbanalyze.inputs.plot_size import Size

STDOUT = Path("-")
"""The file that stands for stdout."""
READABLE = 1_000
"""The largest number of rows on a terminal."""


def publish(
    result: Result,
    format: str,
    output: Path | None = None,
    files: Mapping[Path, str | bytes] | None = None,
    appended: Mapping[Path, str] | None = None,
    **options: Any,
) -> None:
    """Write a result and further files together, and print last: if something fails, no file changes.

    Args:
        result: the result.
        format: one of its formats; a table has colours on a terminal.
        output: the file of the result; None or `-` for stdout.
        files: the content of further files.
        appended: text to append to files.
        options: settings of the view.

    Raises:
        OutputError: a file or stdout cannot be written.
    """
    text, others = _render(result, format, output, **options), dict(files or {})
    printed = str(others.pop(STDOUT, ""))
    if output is None or _is_stdout(output):
        printed += text
    else:
        others[output] = text
    with written(others):
        for path, more in (appended or {}).items():
            append(path, more)
        sys.stdout.write(printed)
        sys.stdout.flush()


def _render(
    result: Result, format: str, output: Path | None, width: int | None = None, **options: Any
) -> str:
    """A result as text, for a file, a terminal or a pipe; only a terminal limits the width of a table."""
    if format != "table":
        if width is not None:
            raise UsageError(f"--width is for tables, not for {format}: leave it out")
        return result.to(format, **options)
    console, shown = Console(), _is_stdout(output)
    width = width or (terminal_width() if shown else None)
    if shown and console.is_terminal:
        with console.capture() as captured:
            console.print(renderable(view_of(result, **options), width or UNLIMITED), soft_wrap=True)
        text = captured.get()
    else:
        text = result.to(format, width=width, **options)
    return text if not shown or _unicode() else text.translate(_ASCII)


def drawn(plot: Callable[..., Any], result: Result, file: Path, size: Size | None) -> dict[Path, str | bytes]:
    """Return the content of `file` with a plot of a result.

    Raises:
        PlotError: the result does not allow the plot.
    """
    from mbanalyze import plots

    return {file: plots.encode(plot(result, size=size), plots.check_format(file), close=True)}


def notify(message: str) -> None:
    """Print one line on stderr, with escapes for characters that do not print."""
    print(f"mbanalyze: {one_line(' '.join(message.split()))}", file=sys.stderr)


def require_files(output: Path | None, plot: Path | None = None, plot_size: Size | None = None) -> None:
    """Check the files of a command before long work.

    Raises:
        UsageError: the size of a plot is given without its file.
        OutputError: a file cannot be written, or both are the same.
        PlotError: a plot cannot have this format.
    """
    if plot_size is not None and plot is None:
        raise UsageError("--plot-size is the size of a plot: give --plot FILE too")
    for file in (output, plot):
        require_writable(file)
    if plot is None:
        return
    try:
        from mbanalyze import plots
    except Exception as error:
        raise UsageError(f"matplotlib does not start, which --plot needs: {error}") from error

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
    return output is None or output == STDOUT
