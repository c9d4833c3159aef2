"""The program: every command, and errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from mbanalyze._version import __version__
from mbanalyze.cli import ablate, check, compare, guard, guidelines, models, published, report, search
from mbanalyze.cli.arguments import expand
from mbanalyze.cli.parser import CommandGroup, explain
from mbanalyze.cli.signals import Stop
from mbanalyze.cli.streams import guarded
from mbanalyze.display.records import one_line
from mbanalyze.guard import PolicyError

app = typer.Typer(
    name="mbanalyze",
    cls=CommandGroup,
    help="Count the cost of a vision network: parameters, multiply-accumulates, FLOPs and memory access.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
PANELS: dict[str, tuple[Callable[..., int | None], ...]] = {
    "Count": (report.report, check.check, compare.compare, models.models),
    "Explore": (ablate.ablate, search.search),
    "Literature": (published.published, guidelines.guidelines),
}
"""The commands by panel, in the order of `--help`; each is called like its function."""
COMMANDS = tuple(command for commands in PANELS.values() for command in commands)
for panel, commands in PANELS.items():
    for command in commands:
        app.command(command.__name__, rich_help_panel=panel)(expand(command))
app.add_typer(guard.app, name="guard", rich_help_panel="Guard")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mbanalyze {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Count the cost of a vision network: parameters, multiply-accumulates, FLOPs and memory access."""


def run(stop: Stop) -> int:
    """Run the command that `sys.argv` names, and return its exit code.

    After a signal, an error is its consequence, such as workers that are gone, and is not printed.
    """
    with guarded():
        try:
            code = app(sys.argv[1:] or ["--help"], prog_name="mbanalyze", standalone_mode=False)
            sys.stdout.flush()
            return code or 0
        except typer.TyperException as error:
            return _fail(explain(error))
        except PolicyError as error:
            return _fail(*error.problems)
        except Exception as error:
            if stop.code:
                return stop.code
            return _fail(str(error) if _ours(error) else _unexpected(error))


def _ours(error: Exception) -> bool:
    """True for an exception of this package, whose message is for the user."""
    return isinstance(error, ValueError | LookupError) and type(error).__module__.startswith("mbanalyze.")


def _unexpected(error: Exception) -> str:
    if os.environ.get("MBANALYZE_TRACEBACK"):
        traceback.print_exception(error)
    said = str(error) or "no message"
    return f"unexpected {type(error).__name__}: {said} (MBANALYZE_TRACEBACK=1 shows where)"


def _fail(*problems: str) -> int:
    """Print one line for each problem, with escapes for characters that do not print."""
    for problem in problems:
        print(f"mbanalyze: error: {one_line(' '.join(problem.split()))}", file=sys.stderr)
    return 2
