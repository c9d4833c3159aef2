"""The program: every command, and errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Collection
from importlib import import_module
from typing import Annotated

import typer

from mbanalyze._version import __version__
from mbanalyze.cli.arguments import expand
from mbanalyze.cli.parser import CommandGroup, explain
from mbanalyze.cli.signals import Stop
from mbanalyze.cli.streams import guarded
from mbanalyze.display.records import one_line

PANELS = {
    "Count": ("report", "check", "explain", "compare", "models"),
    "Capacity": ("memory", "fit"),
    "Time": ("calibrate", "measure", "predict"),
    "Explore": ("ablate", "search"),
    "Train": ("train", "evaluate"),
    "Literature": ("published", "guidelines"),
    "Guard": ("guard",),
}
"""The commands by panel, in the order of `--help`; each is called like its function and its module."""
COMMANDS = tuple(name for names in PANELS.values() for name in names)


def make_app(names: Collection[str] = COMMANDS) -> typer.Typer:
    """Return the program with these commands, whose modules are imported."""
    app = typer.Typer(
        name="mbanalyze",
        cls=CommandGroup,
        help="Count the cost of a vision network: parameters, multiply-accumulates, FLOPs, peak memory and memory access.",
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for panel, commands in PANELS.items():
        for name in filter(names.__contains__, commands):
            module = import_module(f"mbanalyze.cli.{name}")
            if name == "guard":
                app.add_typer(module.app, name=name, rich_help_panel=panel)
            else:
                app.command(name, rich_help_panel=panel)(expand(getattr(module, name)))
    return app


def _needed() -> Collection[str]:
    """The command on the command line, or on the line that a shell completes; all if there is none."""
    completed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    words = completed.split() if "_MBANALYZE_COMPLETE" in os.environ else sys.argv
    return words[1:2] if set(words[1:2]) & set(COMMANDS) else COMMANDS


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mbanalyze {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Count the cost of a vision network: parameters, multiply-accumulates, FLOPs, peak memory and memory access."""


def run(stop: Stop) -> int:
    """Run the command that `sys.argv` names, and return its exit code.

    After a signal, an error is its consequence, such as workers that are gone, and is not printed.
    """
    with guarded():
        try:
            code = make_app(_needed())(
                sys.argv[1:] or ["--help"], prog_name="mbanalyze", standalone_mode=False
            )
            sys.stdout.flush()
            return code or 0
        except typer.TyperException as error:
            return _fail(explain(error))
        except Exception as error:
            if stop.code:
                return stop.code
            return _fail(*(_problems(error) if _ours(error) else [_unexpected(error)]))


def _ours(error: Exception) -> bool:
    """True for an exception of this package, whose message is for the user."""
    kinds = ValueError | LookupError | ImportError | RuntimeError
    return isinstance(error, kinds) and type(error).__module__.startswith("mbanalyze.")


def _problems(error: Exception) -> list[str]:
    """The problems of a policy, or the message of another error."""
    return getattr(error, "problems", None) or [str(error)]


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
