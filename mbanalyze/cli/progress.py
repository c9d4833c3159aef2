"""Signs of work on a terminal, and stdout kept for the result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress


@contextlib.contextmanager
def working(long: bool) -> Iterator[None]:
    """Redirect stdout to stderr inside the `with` block; if `long`, show a spinner on a terminal."""
    console = Console(stderr=True)
    spinner = console.status("counting") if long and sys.stderr.isatty() else None
    with _redirected(), contextlib.redirect_stdout(sys.stderr), spinner or contextlib.nullcontext():
        yield


@contextlib.contextmanager
def progress_bar(label: str, *, shown: bool = True) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal, and yield a callback for the completed fraction."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (shown and sys.stderr.isatty())) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    """Inside the `with` block, the stdout of child processes is stderr."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
