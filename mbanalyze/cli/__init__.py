"""The command line: results on stdout, messages on stderr, and exit codes for scripts.

report.py      the cost of a model
check.py       the counts of a model, compared with other tools
ablate.py      every variant over a grid of options
compare.py     two or more models
search.py      the best variants within limits
models.py      the known architectures
published.py   verdicts on published figures
guidelines.py  ShuffleNet V2's guidelines
guard.py       budgets and locks: check, update, diff, explain
arguments.py   arguments that several commands share
output.py      printing and writing results and plots
progress.py    spinners and progress bars
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from mbanalyze._version import __version__
from mbanalyze.cli import ablate, check, compare, guard, guidelines, models, published, report, search
from mbanalyze.cli.arguments import expand
from mbanalyze.guard import PolicyError

app = typer.Typer(
    name="mbanalyze",
    help="Count the cost of a vision network: parameters, multiply-accumulates, FLOPs and memory access.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: tuple[Callable[..., int | None], ...] = (
    *(report.report, check.check, ablate.ablate, compare.compare),
    *(search.search, models.models, published.published, guidelines.guidelines),
)
"""The commands, in the order of `--help`; each is called like its function."""
for command in COMMANDS:
    app.command(command.__name__)(expand(command))
app.add_typer(guard.app, name="guard")


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


def main() -> None:
    """Run the command line; the exit code is 0 for success, 1 for a negative result, 2 for an error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` and `with` blocks clean up
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name in another script must not fail
    code: int | None
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="mbanalyze", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except typer.TyperException as error:
        code = _fail(error.format_message())
    except PolicyError as error:
        code = _fail(*error.problems)
    except Exception as error:
        code = _fail(str(error) if _ours(error) else _unexpected(error))
    sys.exit(code or 0)


def _ours(error: Exception) -> bool:
    """True for an exception of this package, whose message is for the user."""
    return isinstance(error, ValueError | LookupError) and type(error).__module__.startswith("mbanalyze.")


def _unexpected(error: Exception) -> str:
    if os.environ.get("MBANALYZE_TRACEBACK"):
        traceback.print_exception(error)
    said = str(error) or "no message"
    return f"unexpected {type(error).__name__}: {said} (MBANALYZE_TRACEBACK=1 shows where)"


def _fail(*problems: str) -> int:
    for problem in problems:
        print(f"mbanalyze: error: {' '.join(problem.split())}", file=sys.stderr)
    return 2
