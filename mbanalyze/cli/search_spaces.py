"""The part of `mbanalyze search` that chooses the blocks of a network: its options, and its progress bar."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import mbanalyze
from mbanalyze.cli.arguments import GridOptions, UsageError, choice
from mbanalyze.cli.completion import matching
from mbanalyze.cli.output import drawn, publish, require_readable
from mbanalyze.cli.progress import progress_bar, unseen, working
from mbanalyze.display.units import si
from mbanalyze.inputs.plot_size import Size
from mbanalyze.spaces.boards import BOARDS
from mbanalyze.spaces.known_spaces import SPACES


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """The options of a search among the blocks of a network."""

    space: Annotated[
        str | None,
        choice("space", SPACES, "Choose kernel, expansion, depth and width of each stage of this network."),
    ] = None
    tune_space: Annotated[
        bool,
        typer.Option(
            "--tune-space",
            help="Choose the width multiplier and resolution of --space whose networks suit --board, "
            "by the rule of TinyNAS; without --board, for each known board.",
        ),
    ] = False
    board: Annotated[
        str | None,
        typer.Option(
            metavar=f"[{'|'.join(BOARDS)}|SRAM,FLASH]",
            help="With --space: limit the deployed peak by the SRAM of a board, and params by its flash. "
            "Sizes are such as 256KiB,1MiB. Bytes are then int8, unless you give --dtype.",
            autocompletion=lambda incomplete: matching(BOARDS, incomplete),
        ),
    ] = None
    trials: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --space: networks to try (default 400).", show_default=False),
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="With --tune-space: networks to draw (default 100).", show_default=False
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="With --space: seed of the random choices (default 0).", show_default=False
        ),
    ] = None
    study: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.db",
            help="With --space: keep every trial in this file of SQLite, and continue the search that it has.",
            show_default=False,
        ),
    ] = None

    @property
    def given(self) -> list[str]:
        """The names of the options that are given."""
        return [option.name for option in fields(self) if getattr(self, option.name) not in (None, False)]

    def refuse(self, family: str, others: Mapping[str, Any]) -> None:
        """Raise `UsageError` if the options lack a space, or other arguments of the command contradict it.

        Args:
            family: the argument FAMILY; `all` if it is not given.
            others: the options that a space does not take, with a value that is false if they are not given.
        """
        if self.space is None:
            raise UsageError(f"{_flag(self.given[0])} is about the blocks of a network: give --space too")
        if family != "all":
            raise UsageError(f"--space {self.space} names the network to search: leave {family} out")
        for name, value in others.items():
            if value:
                raise UsageError(f"--space and {_flag(name)} do not go together: leave one out")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class Shown(NamedTuple):
    """The way in which a result is shown.

    Attributes:
        format: its format.
        output: its file; None for stdout.
        width: the width of tables; None for that of the terminal.
        plot: the file of a plot; None without one.
        plot_size: the size of the plot, in inches; None for the usual one.
    """

    format: str
    output: Path | None
    width: int | None
    plot: Path | None
    plot_size: Size | None


def search_blocks(blocks: SpaceOptions, grid: GridOptions, settings: Mapping[str, Any], shown: Shown) -> int:
    """Run the search, or the choice of width and resolution; return the exit code: 1 if nothing fits.

    Args:
        blocks: the options of the space.
        grid: options of the architecture.
        settings: limits, objective, dtype and profile.
        shown: the way in which the result is shown.
    """
    if blocks.tune_space:
        return _tune(blocks, grid, settings, shown)
    if blocks.samples is not None:
        raise UsageError("--samples is about --tune-space: give it too, or --trials")
    options = {name: getattr(blocks, name) for name in ("board", "trials", "seed", "study")}
    options |= {**settings, **grid.options(mbanalyze.search_space)}
    with working(False), _trials_bar() as progress:
        found = mbanalyze.search_space(str(blocks.space), progress=progress, **options)
    require_readable(len(found.fitting) if shown.format == "csv" else 0, shown.format, shown.output)
    files: dict[Path, str | bytes] = {}
    if shown.plot is not None:
        from mbanalyze import plots

        files = drawn(plots.space, found, shown.plot, shown.plot_size)
    publish(found, shown.format, shown.output, files, width=shown.width, flags=True)
    return int(found.best is None)


def _tune(blocks: SpaceOptions, grid: GridOptions, settings: Mapping[str, Any], shown: Shown) -> int:
    refused = {**settings, "trials": blocks.trials, "study": blocks.study, "plot": shown.plot}
    for name, value in refused.items():
        if value is not None and name != "dtype":
            raise UsageError(f"--tune-space and {_flag(name)} do not go together: leave one out")
    with working(False), progress_bar("counting") as progress:
        found = mbanalyze.tune_space(
            str(blocks.space),
            board=blocks.board,
            dtype=settings["dtype"],
            samples=blocks.samples,
            seed=blocks.seed,
            progress=progress,
            **grid.options(mbanalyze.tune_space),
        )
    publish(found, shown.format, shown.output, width=shown.width, flags=True)
    return int(not any(found.best.values()))


@contextlib.contextmanager
def _trials_bar() -> Iterator[Callable[[float], None]]:
    """Show a progress bar with the best value so far on a terminal, and yield a callback for `TrialsDone`."""
    from mbanalyze.spaces.space_search import TrialsDone

    if not sys.stderr.isatty():
        yield unseen
        return
    columns = (
        *(TextColumn("searching"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn()),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, best="")

        def show(done: float) -> None:
            """Show the number of trials and the best value."""
            assert isinstance(done, TrialsDone)
            best = "nothing fits yet" if done.best is None else f"best {_value(done.best)}"
            bar.update(task, total=done.total, completed=done.done, best=best)

        yield show


def _value(value: float) -> str:
    return si(value) if isinstance(value, int) else f"{value:g}"
