"""Signs of work on a terminal, and stdout kept for the result."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn

if TYPE_CHECKING:
    from mbanalyze.training.epochs import Position


@contextlib.contextmanager
def working(long: bool) -> Iterator[Callable[[str], None]]:
    """Redirect stdout to stderr inside the `with` block; if `long`, show a spinner on a terminal.

    Yields:
        A callback that names the step beside the spinner.
    """
    console = Console(stderr=True)
    spinner = console.status("counting") if long and sys.stderr.isatty() else None
    with _redirected(), contextlib.redirect_stdout(sys.stderr), spinner or contextlib.nullcontext():
        yield spinner.update if spinner else unseen


def unseen(_: object) -> None:
    """Show nothing: there is no terminal."""


@contextlib.contextmanager
def progress_bar(label: str, *, shown: bool = True) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal, and yield a callback for the completed fraction."""
    if not (shown and sys.stderr.isatty()):
        yield unseen
        return
    columns = (SpinnerColumn(), *Progress.get_default_columns())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda fraction: bar.update(task, completed=fraction)


@contextlib.contextmanager
def training_bar() -> Iterator[Callable[[Position], None]]:
    """Show a progress bar on a terminal, with the epoch and its loss, and yield a callback for each step."""
    if not sys.stderr.isatty():
        yield unseen
        return
    columns = (SpinnerColumn(), *Progress.get_default_columns())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("training", total=1.0)

        def show(at: Position) -> None:
            """Move the bar."""
            label = f"epoch {at.epoch} of {at.epochs}, loss {at.loss:.4f}"
            bar.update(task, completed=at.fraction, description=label)

        yield show


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
