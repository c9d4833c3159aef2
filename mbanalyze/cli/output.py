"""Results on stdout, or in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from mbanalyze.display.files import OutputError, write
from mbanalyze.display.result import Result, view_of
from mbanalyze.display.tables import plain
from mbanalyze.display.terminal import renderable


def show(result: Result, format: str, output: Path | None = None, **options: Any) -> None:
    """Print a result in a format, or write it to a file.

    Args:
        result: the result.
        format: one of its formats; a table has colours on a terminal.
        output: the file; None or `-` for stdout.
        options: settings of the view.
    """
    console = Console()
    if format == "table" and console.is_terminal and (output is None or str(output) == "-"):
        console.print(renderable(view_of(result, **options), console.width), soft_wrap=True)
        return
    text = result.to(format, **options)
    emit(text if _unicode() or format != "table" else text.translate(_ASCII), output)


def emit(result: RenderableType, output: Path | None = None) -> None:
    """Print `result`, in colour on a terminal, or write it to a file; `-` is stdout."""
    console = Console()
    to_stdout = output is None or str(output) == "-"
    if console.is_terminal and to_stdout and not isinstance(result, str):
        console.print(result, soft_wrap=True)
        return
    text = result if isinstance(result, str) else plain(result, console.width)
    if output is None or to_stdout:
        sys.stdout.write(text)
    else:
        write(output, text)


_ASCII = str.maketrans("─█▏▎▍▌▋▊▉≥", "-#.......>")


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def require_no_terminal(path: Path | None) -> None:
    """Raise `OutputError` where a page, which nobody reads as text, would go to a terminal for want of a file."""
    if path is None and sys.stdout.isatty():
        raise OutputError("a page is not for a terminal: give --output FILE.html")
