"""The command group `mbanalyze guard`: check, init, update, diff and explain."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mbanalyze import guard
from mbanalyze.cli.arguments import (
    Format,
    ModelOptions,
    Output,
    UsageError,
    Width,
    choice,
    expand,
)
from mbanalyze.cli.completion import complete_model, matching
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import notify, publish, require_files
from mbanalyze.cli.parser import CommandGroup
from mbanalyze.cli.progress import working
from mbanalyze.display.files import kept
from mbanalyze.display.records import one_line
from mbanalyze.guard import Outcome, Policy, PolicyError
from mbanalyze.guard.view import OUTCOME_FORMATS

app = typer.Typer(
    cls=CommandGroup, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)


def complete_guarded_model(incomplete: str) -> list[str]:
    """Return the guarded models whose name starts with a text, for shell completion."""
    with contextlib.suppress(PolicyError, UsageError):
        return matching(_load(None).models, incomplete)
    return []


Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Policy file; by default mbanalyze.toml or pyproject.toml, here or in a parent folder.",
        show_default=False,
    ),
]
CheckFormat = Annotated[
    str | None, choice("format", OUTCOME_FORMATS, "Format of stdout (default table).", "--format", "-f")
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="[FORMAT=]FILE",
        help="Also write to this file, such as guard.md or junit=guard.xml; repeatable. "
        "Without FORMAT, the suffix implies it.",
    ),
]
BASE = typer.Option(
    metavar="REF", help="Git ref to compare with: a branch, tag or commit.", show_default=False
)
Top = Annotated[int, typer.Option(min=1, metavar="N", help="Number of layers to show in each table.")]
AllowCi = Annotated[bool, typer.Option("--allow-ci", help="Write the file although CI is set.")]
References = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL",
        help="Models as for 'mbanalyze report'. Options and inputs apply to each of them; "
        "options of one model follow its name: NAME@alpha=0.75.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
NewConfig = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Policy file to add the models to, or to write.", show_default=False),
]
Headroom = Annotated[
    str,
    typer.Option(
        metavar="PERCENT",
        help="Room of each budget above the measured total; with 0%, any growth exceeds the budget.",
    ),
]


def _models(help: str) -> Any:
    """The argument that names guarded models."""
    return typer.Argument(
        metavar="NAME", help=help, autocompletion=complete_guarded_model, show_default=False
    )


@app.callback(invoke_without_command=True)
def check(
    context: typer.Context,
    config: Config = None,
    format: CheckFormat = None,
    outputs: Outputs = None,
    width: Width = None,
) -> int:
    """Fail if a model exceeds its budget or the committed lock.

    If there is no lock, the command writes one, unless the environment variable CI is set.
    A lock of an earlier version may lack totals, such as the peaks of memory: a note says so, and the check passes.

    Exit code 0: success. 1: a model costs more than allowed, or the lock lists other models. 2: the cost could
    not be measured or compared.

    \b
    mbanalyze guard
    mbanalyze guard -f github -o guard.xml -o guard.sarif
    mbanalyze guard explain
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if context.invoked_subcommand is not None:
        if config or outputs or width or format:
            command = context.invoked_subcommand
            raise UsageError(f"give options after '{command}': see 'mbanalyze guard {command} --help'")
        return 0
    policy, files = _load(config), _parse_outputs(outputs)
    with kept(policy.lock):
        with _progress(len(policy.models)) as progress:
            outcome = guard.check(policy, ci=guard.in_ci(), progress=progress)
        return _publish(outcome, format, files, width)


@app.command()
@expand
def init(
    models: References,
    given: ModelOptions,
    headroom: Headroom = "5%",
    config: NewConfig = None,
    allow_ci: AllowCi = False,
    format: Format = None,
    output: Output = None,
    width: Width = None,
) -> int:
    """Write a policy for models, with budgets from a first measurement.

    The budgets limit params, macs, memory access and peak memory. The models are added to the policy of this
    folder. Without one, the command appends the policy to pyproject.toml, or writes mbanalyze.toml if there is none.

    The command writes nothing if a model cannot be measured or is guarded already, or if the environment variable
    CI is set. Exit code 1: the lines have to be added by hand.

    \b
    mbanalyze guard init net.py:build --input 1,3,64,64
    mbanalyze guard init mobilenet_v2@alpha=0.75 resnet18 --headroom 2%
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if guard.in_ci() and not allow_ci:
        raise UsageError("CI does not write the policy, because a person reviews it first: use --allow-ci")
    room, place = guard.parse_headroom(headroom), config or guard.policy_place(_here())
    for file in (place, output):
        require_files(file)
    format = choose_format(format, output)
    if output and output.resolve() == place.resolve():
        raise UsageError(f"--output is the policy file {output}: give another file")
    options, inputs = given.options, given.input or []
    options.pop("kwargs", None)  # these are the named ones of the inputs
    with kept(place):
        with _progress(len(models)) as progress:
            new = guard.init(place, models, options, inputs, room, progress)
        publish(new, format, output, width=width)
    return 0 if new.written else 1


@app.command()
def update(
    models: Annotated[list[str] | None, _models("Models to update; all by default.")] = None,
    config: Config = None,
    allow_ci: AllowCi = False,
    format: CheckFormat = None,
    outputs: Outputs = None,
    width: Width = None,
) -> int:
    """Write the costs of models into the lock, for review and commit.

    The command writes nothing if a model cannot be measured, or if the environment variable CI is set.

    \b
    mbanalyze guard update
    mbanalyze guard update small
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if guard.in_ci() and not allow_ci:
        raise UsageError("CI does not write the lock, because a person reviews it first: use --allow-ci")
    policy, files = _load(config), _parse_outputs(outputs)
    with kept(policy.lock):
        with _progress(len(models or policy.models)) as progress:
            outcome = guard.update(policy, models or (), progress)
        return _publish(outcome, format, files, width)


@app.command()
def diff(
    base: Annotated[str, BASE],
    config: Config = None,
    format: CheckFormat = None,
    outputs: Outputs = None,
    width: Width = None,
) -> int:
    """Compare every model with its cost at an earlier commit.

    It is the commit where the current branch left a git ref.
    Its files are checked out in a temporary folder. No lock is needed.

    \b
    mbanalyze guard diff --base origin/main
    mbanalyze guard diff --base v1.2 --format markdown
    """  # noqa: D301 (the character keeps typer from joining the lines)
    policy, files = _load(config), _parse_outputs(outputs)
    with _progress(len(policy.models), base) as progress:
        outcome = guard.diff(policy, base, progress)
    return _publish(outcome, format, files, width)


@app.command()
def explain(
    models: Annotated[list[str] | None, _models("Models to explain; by default those that fail.")] = None,
    config: Config = None,
    base: Annotated[str | None, BASE] = None,
    top: Top = 10,
    format: Format = None,
    output: Output = None,
    width: Width = None,
) -> int:
    """Explain failures: layers, source lines, and options that fit.

    The layers of a peak of memory are those whose tensors are in memory at the peak.
    The options are the largest width and resolution within the limits.
    The exit code is that of 'mbanalyze guard' for the explained models.

    \b
    mbanalyze guard explain
    mbanalyze guard explain small --base origin/main
    """  # noqa: D301 (the character keeps typer from joining the lines)
    policy = _load(config)
    require_files(output)
    format = choose_format(format, output)
    with _progress(len(policy.models), base) as progress:
        explanations = guard.explain(policy, models or (), base, progress)
    if explanations.outcome.problem:
        notify(explanations.outcome.problem)
    publish(explanations, format, output, top=top, width=width)
    return explanations.outcome.exit_code


def _load(config: Path | None) -> Policy:
    return guard.load(config or guard.find(_here()))


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError("the current folder does not exist any more: change to another one") from error


@contextlib.contextmanager
def _progress(models: int, base: str | None = None) -> Iterator[guard.Progress]:
    """Redirect stdout to stderr, and say on a terminal which of the models is counted.

    Args:
        models: number of models.
        base: git ref whose models are counted first.
    """
    with working(True) as say:
        say(f"counting the models at {one_line(base)}" if base else _counting(0, models))
        yield lambda fraction: say(_counting(round(fraction * models), models))


def _counting(counted: int, models: int) -> str:
    return f"counting model {counted + 1} of {models}" if counted < models else "comparing"


def _parse_outputs(outputs: list[str] | None) -> dict[str, Path]:
    """Writable files by format.

    Raises:
        UsageError: an output is malformed, or given twice.
        OutputError: a file cannot be written.
    """
    files: dict[str, Path] = {}
    for text in outputs or []:
        given, equals, file = text.partition("=") if "=" in text else ("", "", text)
        if not file or (given in OUTCOME_FORMATS) != bool(equals) or text in OUTCOME_FORMATS:
            raise UsageError(
                f"malformed output {text!r}: give FILE or FORMAT=FILE with one of {', '.join(OUTCOME_FORMATS)}"
            )
        format = choose_format(given or None, Path(file), OUTCOME_FORMATS)
        if format in files or Path(file) in files.values():
            raise UsageError(f"duplicate output {text!r}: give each format and each file once")
        files[format] = Path(file)
        require_files(files[format])
    return files


def _publish(outcome: Outcome, format: str | None, files: dict[str, Path], width: int | None) -> int:
    """Print an outcome, write it to files, add it to GitHub's job summary, and return the exit code."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    publish(
        outcome,
        format or "table",
        files={file: outcome.to(other) for other, file in files.items()},
        appended={Path(summary): outcome.to("markdown")} if summary and "github" in (format, *files) else {},
        width=width,
    )
    return outcome.exit_code
