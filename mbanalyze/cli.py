"""The command line: each command a few lines over the library; results on stdout, messages on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from mbanalyze import crosscheck, guidelines, parsing, published, sources, verdicts
from mbanalyze._version import __version__
from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import OptionError, describe
from mbanalyze.output import emit, require_writable
from mbanalyze.render import guidelines as render_guidelines
from mbanalyze.render import published as render_published
from mbanalyze.render.checks import agreement_table
from mbanalyze.render.models import models_table
from mbanalyze.render.records import dump
from mbanalyze.render.report import present
from mbanalyze.sources import Subject

if TYPE_CHECKING:
    from mbanalyze.measure import Measured

app = typer.Typer(
    name="mbanalyze",
    help="What a vision network costs, and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _models(incomplete: str) -> list[str]:
    return [name for name in (*ARCHS, *ALIASES) if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Argument(
        help="A known architecture (see 'mbanalyze models'), torchvision:NAME, timm:NAME, "
        "transformers:CONFIG, package.module:factory or file.py:factory.",
        autocompletion=_models,
        show_default=False,
    ),
]
Alpha = Annotated[float | None, typer.Option(help="Width multiplier.", show_default=False)]
Resolution = Annotated[
    int | None, typer.Option(help="Height and width of the input, in pixels.", show_default=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any option of the architecture, or argument of the factory; repeatable.",
    ),
]
Batch = Annotated[int | None, typer.Option(help="Images in the input, 1 unless given.", show_default=False)]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]N,C,H,W[:DTYPE]",
        help="Shape of an input, such as 1,3,224,224 or ids=1,128:int64; repeatable.",
    ),
]


Output = Annotated[Path | None, typer.Option(help="Write to this file instead.", show_default=False)]


def _subject(
    model: str,
    alpha: float | None,
    resolution: int | None,
    settings: list[str] | None,
    batch: int | None,
    inputs: list[str] | None,
) -> Subject:
    """What the arguments shared by `report` and `check` describe."""
    given = {"alpha": alpha, "resolution": resolution, "batch": batch}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name, value in map(parsing.parse_option, settings or []):
        if name in options:
            raise OptionError(f"{name} is given twice")
        options[name] = value
    parsed = list(map(parsing.parse_input, inputs or []))
    names = [name for name, _ in parsed if name is not None]
    if len(set(names)) < len(names):
        raise OptionError("an input is given twice")
    shapes = [shape for name, shape in parsed if name is None]
    if len(shapes) < len(parsed):
        options["kwargs"] = {name: shape for name, shape in parsed if name is not None}
    return sources.subject(model, *shapes, **options)


@app.command()
def report(
    model: Model,
    alpha: Alpha = None,
    resolution: Resolution = None,
    set_: Set = None,
    batch: Batch = None,
    input_: Input = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16", "int8"] | None,
        typer.Option(help="What an element is taken to be where bytes are reported."),
    ] = None,
    by: Annotated[
        Literal["op", "module", "block", "kind"] | None,
        typer.Option(help="One row for each of these; a table's rows are modules unless given."),
    ] = None,
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
    output: Output = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Run the real module instead of the closed form.")
    ] = False,
    mode: Annotated[
        Literal["eval", "train"], typer.Option(help="The mode that the module runs in.")
    ] = "eval",
    real: Annotated[
        bool, typer.Option("--real", help="Run the real module on values, not only on shapes.")
    ] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Where a result depends on values, assume that every candidate is kept."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when an operator could not be counted.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Add what 'mbanalyze check' says, and its exit code.")
    ] = False,
) -> int:
    """Report what a model costs, layer by layer.

    \b
    mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192
    mbanalyze report timm:convnext_tiny --by block
    mbanalyze report transformers:BertConfig --input input_ids=1,128:int64
    mbanalyze report net.py:build --input 1,3,64,64 --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    with _working(trace or check or model not in (*ARCHS, *ALIASES)):
        subject = _subject(model, alpha, resolution, set_, batch, input_)
        result = subject.report(trace=trace, dtype=dtype, mode=mode, real=real, keep=keep)
        agreement = crosscheck.check(subject) if check else None
    emit(present(result, format, by, agreement, Console().width), output)
    if agreement and format == "csv":
        Console(stderr=True).print(agreement_table(agreement), soft_wrap=True)
    disagrees = agreement is not None and not agreement.agree
    return int(disagrees or (strict and not result.complete))


@app.command()
def check(
    model: Model,
    alpha: Alpha = None,
    resolution: Resolution = None,
    set_: Set = None,
    batch: Batch = None,
    input_: Input = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="How to print it.")] = "table",
) -> int:
    """Check the closed form against a trace of the real model, and both against fvcore.

    Exit code 1 when anything disagrees.

    \b
    mbanalyze check mobilenet_v2 --alpha 1.4
    mbanalyze check net.py:build --input 1,3,64,64 --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    with _working(True):
        agreement = crosscheck.check(_subject(model, alpha, resolution, set_, batch, input_))
    if format == "json":
        emit(dump(agreement.as_dict()))
    else:
        emit(agreement_table(agreement, Console().width))
    return int(not agreement.agree)


@app.command()
def models(
    format: Annotated[Literal["table", "json"], typer.Option(help="How to print it.")] = "table",
) -> None:
    """List the architectures known in closed form, with their options.

    \b
    mbanalyze models
    mbanalyze models --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    known = [{"name": name, "paper": arch.paper, "options": describe(arch)} for name, arch in ARCHS.items()]
    emit(dump(known) if format == "json" else models_table(known))


def _families(incomplete: str) -> list[str]:
    names = dict.fromkeys(name for e in published.entries() for name in (e.family, e.variant))
    return [name for name in names if name.startswith(incomplete)]


@app.command("published")
def published_figures(
    family: Annotated[
        str | None,
        typer.Argument(
            help="A family (mobilenet) or a network (mobilenet_v2); all of them unless given.",
            autocompletion=_families,
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
    output: Output = None,
) -> None:
    """Judge every figure that papers and repositories print about these networks.

    Each is exact, follows another convention, is an erratum, or is unresolved; its arithmetic says why.

    \b
    mbanalyze published mobilenet_v2
    mbanalyze published shufflenet --format markdown --output shufflenet.md
    """  # noqa: D301 (the character keeps typer from joining the lines)
    with _working(True):
        found = verdicts.verdicts(family)
    if format == "table":
        emit(render_published.table(found, Console().width), output)
    else:
        emit(render_published.FORMATS[format](found), output)


@app.command("guidelines")
def follow_guidelines(
    model: Annotated[
        str | None,
        typer.Argument(
            help="As for 'mbanalyze report'; without one, the experiments behind the guidelines.",
            autocompletion=_models,
            show_default=False,
        ),
    ] = None,
    alpha: Alpha = None,
    resolution: Resolution = None,
    set_: Set = None,
    batch: Batch = None,
    input_: Input = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the worst layers and blocks to show.")] = 10,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run the experiments on this machine, for a minute.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=0, help="How long to measure.")] = 60,
    device: Annotated[str, typer.Option(help="Where to measure: cpu or cuda.")] = "cpu",
    format: Annotated[Literal["table", "markdown", "json"], typer.Option(help="How to print it.")] = "table",
    output: Output = None,
) -> None:
    """Say how a model follows ShuffleNet V2's guidelines G1 to G4, and what breaks them most.

    Without a model: the paper's experiments, what memory access predicts, and with --measure your own speeds.

    \b
    mbanalyze guidelines mobilenet_v2 --alpha 1.4 --top 5
    mbanalyze guidelines --measure
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if model is None:
        if any(given is not None for given in (alpha, resolution, set_, batch, input_)):
            raise OptionError("--alpha, --resolution, --set, --batch and --input are about a model: name one")
        require_writable(output)
        measured = _measured(seconds, device) if measure else None
        if format == "table":
            emit(render_guidelines.experiments_table(measured, Console().width), output)
        elif format == "markdown":
            emit(render_guidelines.experiments_markdown(measured), output)
        else:
            emit(dump(render_guidelines.experiments(measured)), output)
        return
    if measure:
        raise OptionError("--measure runs the paper's experiments, not a model: leave the model out")
    with _working(model not in (*ARCHS, *ALIASES)):
        judged = guidelines.guidelines(_subject(model, alpha, resolution, set_, batch, input_).report())
    if format == "table":
        emit(render_guidelines.table(judged, top, Console().width), output)
    elif format == "markdown":
        emit(render_guidelines.markdown(judged, top), output)
    else:
        emit(dump(judged.as_dict()), output)


def _measured(seconds: float, device: str) -> Measured:
    """The experiments on this machine, with a progress bar on a terminal."""
    from mbanalyze.measure import measure

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=1.0)
        return measure(seconds, device, lambda share: progress.update(task, completed=share))


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


@contextlib.contextmanager
def _working(long: bool) -> Iterator[None]:
    """While the library works: a spinner on a terminal, and stdout kept for the result alone."""
    console = Console(stderr=True)
    spinner = console.status("counting") if long and console.is_terminal else None
    with contextlib.redirect_stdout(sys.stderr), spinner or contextlib.nullcontext():
        yield


def main() -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 it could not be done."""
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


def _fail(problem: str) -> int:
    print(f"mbanalyze: error: {' '.join(problem.split())}", file=sys.stderr)
    return 2
