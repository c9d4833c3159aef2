"""Many models in one command: their options, and a progress bar with the failures and the time left."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mbanalyze.cli.arguments import UsageError
from mbanalyze.cli.output import notify
from mbanalyze.cli.progress import unseen, working
from mbanalyze.display.records import one_line, values_of
from mbanalyze.inputs.parsing import split_reference
from mbanalyze.sources.patterns import is_pattern, matching_models

if TYPE_CHECKING:
    from mbanalyze.sweep.ablation_result import Ablation

Workers = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Processes that count many models, or the variants of a --convention."
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="For many models: give up on a model that takes longer."),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="For many models: write each count to this file at once, and do not repeat the counts that it has.",
    ),
]


def is_many(model: str) -> bool:
    """Return True for a pattern of the models of a package, which are traced."""
    return ":" in model and is_pattern(model)


def prepare(pattern: str, resume: Path | None, output: Path | None, plot: Path | None) -> int:
    """Return the number of models that match, and check the files of the command.

    Raises:
        UsageError: a plot is asked for, or one file for two purposes.
        SourceError: no model matches, or its package cannot be imported.
    """
    if plot is not None:
        raise UsageError("--plot draws the variants of one network: search --plot draws those of many")
    if resume is not None and output is not None and resume.resolve() == output.resolve():
        raise UsageError(f"--output and --resume are both {resume}: the file of --resume has every row")
    with working(False):
        return len(matching_models(split_reference(pattern)[0]))


def exit_code(ablation: Ablation, *, strict: bool) -> int:
    """Return 1 if no variant is counted, or if one is not counted completely and `strict` is set."""
    from mbanalyze.sweep.many_models import uncounted

    counts = ablation.rows
    counted = "params" in counts and any(count is not None for count in values_of(counts["params"]))
    complete = not uncounted(counts) and ("complete" not in counts or all(counts["complete"]))
    return int(not counted or (strict and not complete))


def say_kept(ablation: Ablation, file: Path) -> None:
    """Print the number of rows in a file on stderr, and each model that is not counted, with the reason."""
    from mbanalyze.sweep.many_models import uncounted
    from mbanalyze.sweep.view import uncounted_notes

    failed = uncounted(ablation.rows)
    notify(f"{file} has {len(ablation):,} rows of this command")
    for note in uncounted_notes(failed):
        notify(note)


@contextlib.contextmanager
def models_bar(*, shown: bool = True) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal, and yield a callback for `ModelsDone`."""
    from mbanalyze.sweep.model_jobs import ModelsDone

    if not (shown and sys.stderr.isatty()):
        yield unseen
        return
    columns = (
        *(TextColumn("counting"), BarColumn(20), MofNCompleteColumn()),
        *(
            TextColumn("{task.fields[failed]} failed"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[model]}"),
        ),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, failed=0, model="")

        def show(done: float) -> None:
            """Show the state of the count; counts from a file do not enter the estimate of the time."""
            assert isinstance(done, ModelsDone)
            fields: dict[str, Any] = {"failed": done.failed, "model": one_line(done.model)}
            if bar.tasks[0].total is None:
                bar.reset(task, total=done.total, completed=done.done, **fields)
            bar.update(task, completed=done.done, **fields)

        yield show
