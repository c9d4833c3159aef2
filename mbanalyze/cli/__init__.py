"""The command line: results on stdout, messages on stderr, and an exit code that scripts can use."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from mbanalyze._version import __version__
from mbanalyze.cli import guard, single, variants
from mbanalyze.guard import PolicyError

app = typer.Typer(
    name="mbanalyze",
    help="What a vision network costs, and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., int | None]] = {
    "report": single.report,
    "check": single.check,
    "ablate": variants.ablate,
    "compare": variants.compare,
    "search": variants.search,
    "models": single.models,
    "published": single.published_figures,
    "guidelines": single.follow_guidelines,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(guard.app, name="guard")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mbanalyze {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What a vision network costs, and why: parameters, multiply-accumulates, FLOPs and memory access."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 it could not be done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half done is cleared away
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name in another script is no reason to fail
    code: int | None
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="mbanalyze", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
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
    """Whether an exception is one of this package's, whose message is for the user."""
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
