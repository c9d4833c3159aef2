"""`mbanalyze guard`: check, update, diff and explain, each a few lines over `mbanalyze.guard`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from mbanalyze import guard
from mbanalyze.cli.arguments import UsageError
from mbanalyze.cli.output import emit
from mbanalyze.cli.progress import working
from mbanalyze.display.files import append, require_writable
from mbanalyze.guard.formats import text as rendered
from mbanalyze.guard.outcome import Outcome
from mbanalyze.guard.policy import Policy, PolicyError, find, load

app = typer.Typer(
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def guarded(incomplete: str) -> list[str]:
    """The models of the policy here, for completion."""
    with contextlib.suppress(PolicyError):
        return [name for name in load(find(Path.cwd())).models if name.startswith(incomplete)]
    return []


Config = Annotated[
    Path | None,
    typer.Option(
        help="The policy; by default mbanalyze.toml or pyproject.toml, here or in a folder above.",
        show_default=False,
    ),
]
Format = Annotated[
    Literal["text", "markdown", "json", "github", "junit", "sarif"], typer.Option(help="How to print it.")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        metavar="FORMAT=FILE",
        help="Write it in this format to a file too, such as junit=guard.xml; repeatable.",
    ),
]


@app.callback(invoke_without_command=True)
def check(
    context: typer.Context, config: Config = None, format: Format = "text", outputs: Outputs = None
) -> int:
    """Fail when a model costs more than its budget, or than the lock that is committed.

    Exit code 0: fine. 1: a model costs more than it may, or the lock is not that of these models. 2: it could
    not be found out. Where there is no lock one is written, unless the environment has CI set.

    \b
    mbanalyze guard
    mbanalyze guard --format github --output junit=guard.xml --output sarif=guard.sarif
    mbanalyze guard explain
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if context.invoked_subcommand is not None:
        if config or outputs or format != "text":
            raise UsageError(f"options of '{context.invoked_subcommand}' go behind it: see --help there")
        return 0
    policy, files = _policy(config), _files(outputs)
    with working(False), _counting(len(policy.models)) as progress:
        outcome = guard.check(policy, ci=guard.in_ci(), progress=progress)
    return _tell(outcome, format, files)


@app.command()
def update(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Which; all unless given.", autocompletion=guarded, show_default=False),
    ] = None,
    config: Config = None,
    allow_ci: Annotated[bool, typer.Option("--allow-ci", help="Also where CI is set.")] = False,
    format: Annotated[Literal["text", "markdown", "json"], typer.Option(help="How to print it.")] = "text",
) -> int:
    """Write what models cost into the lock, to be reviewed and committed.

    Nothing is written where a model cannot be measured, or the environment has CI set.

    \b
    mbanalyze guard update
    mbanalyze guard update small
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if guard.in_ci() and not allow_ci:
        raise UsageError(
            "a lock is reviewed before it is committed, so CI does not write it: --allow-ci does"
        )
    policy = _policy(config)
    with working(False), _counting(len(models or policy.models)) as progress:
        outcome = guard.update(policy, models or (), progress)
    _tell(outcome, format, {})
    return outcome.exit


@app.command()
def diff(
    base: Annotated[str, typer.Option(metavar="REF", help="A git ref: a branch, tag or commit.")],
    config: Config = None,
    format: Format = "text",
    outputs: Outputs = None,
) -> int:
    """Hold every guarded model against what it costs at a git ref, or where this branch left it.

    The ref's files are checked out in a folder of their own and counted there; no lock is needed.

    \b
    mbanalyze guard diff --base origin/main
    mbanalyze guard diff --base v1.2 --format markdown
    """  # noqa: D301 (the character keeps typer from joining the lines)
    policy, files = _policy(config), _files(outputs)
    with working(True):
        outcome = guard.diff(policy, base)
    return _tell(outcome, format, files)


@app.command()
def explain(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Which; all that fail unless given.", autocompletion=guarded, show_default=False),
    ] = None,
    config: Config = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Against a git ref instead of the lock.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many layers of each count to show.")] = 10,
    format: Annotated[Literal["text", "markdown", "json"], typer.Option(help="How to print it.")] = "text",
    output: Annotated[
        Path | None, typer.Option(help="Write to this file instead.", show_default=False)
    ] = None,
) -> int:
    """Say why models fail: which layers, operators and source lines, and which alpha or resolution would fit.

    Exit codes as those of 'mbanalyze guard', for the models that are explained.

    \b
    mbanalyze guard explain
    mbanalyze guard explain small --base origin/main
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.guard.explaining import explain
    from mbanalyze.guard.formats import explanation

    policy = _policy(config)
    require_writable(output)
    with working(True):
        outcome = guard.held_against(policy, base, models or ())
        found = [explain(each, policy) for each in outcome.models]
    if outcome.problem:
        print(f"mbanalyze: {outcome.problem}", file=sys.stderr)
    if not found:
        emit("nothing fails\n" if format == "text" else explanation.FORMATS[format]([], top), output)
    elif format == "text":
        emit(explanation.text(found, top, Console().width), output)
    else:
        emit(explanation.FORMATS[format](found, top), output)
    return outcome.exit


def _policy(config: Path | None) -> Policy:
    return load(config or find(Path.cwd()))


def _files(outputs: list[str] | None) -> dict[str, Path]:
    """Format -> file, of those that can be written.

    Raises:
        UsageError: one is malformed, or given twice.
    """
    files: dict[str, Path] = {}
    for text in outputs or []:
        format, equals, file = text.partition("=")
        if not equals or not file or format not in rendered.FORMATS:
            raise UsageError(f"malformed output {text!r}: give FORMAT=FILE, of {', '.join(rendered.FORMATS)}")
        if format in files or Path(file) in files.values():
            raise UsageError(f"output {text!r} is given twice")
        files[format] = Path(file)
        require_writable(files[format])
    return files


def _tell(outcome: Outcome, format: str, files: dict[str, Path]) -> int:
    """Print an outcome, write it to files, and add it to GitHub's summary."""
    for other, file in files.items():
        emit(rendered.FORMATS[other](outcome), file)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "github" in (format, *files):
        append(Path(summary), rendered.markdown(outcome))
    if format == "text":
        emit(rendered.text(outcome, Console().width))
    else:
        emit(rendered.FORMATS[format](outcome))
    return outcome.exit


@contextlib.contextmanager
def _counting(models: int) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not (models > 1 and console.is_terminal)) as bar:
        task = bar.add_task("counting", total=models)
        yield lambda: bar.advance(task)
