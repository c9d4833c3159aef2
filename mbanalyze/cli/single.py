"""The commands about one model, and about what is published: each a few lines over the library."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import describe
from mbanalyze.cli import arguments
from mbanalyze.cli.arguments import (
    Alpha,
    Batch,
    Input,
    Model,
    Output,
    Resolution,
    Set,
    UsageError,
    described,
    is_closed_form,
    working,
)
from mbanalyze.cli.models_table import models_table
from mbanalyze.cli.output import emit, require_no_terminal, show
from mbanalyze.crosscheck import witnesses as crosscheck
from mbanalyze.display.files import require_writable
from mbanalyze.display.records import dump
from mbanalyze.literature.verdicts import published
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.memory_access.experiments import Experiments
from mbanalyze.report.page import require_packages


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
        Literal["table", "markdown", "csv", "json", "html"],
        typer.Option(help="How to print it; html is a page for --output."),
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
    mbanalyze report mobilenet_v2 --format html --output report.html
    """  # noqa: D301 (the character keeps typer from joining the lines)
    if format == "html":
        require_packages()
        require_no_terminal(output)
    with working(trace or check or not is_closed_form(model)):
        subject = described(model, alpha, resolution, set_, batch, input_)
        result = subject.report(trace=trace, dtype=dtype, mode=mode, real=real, keep=keep)
        agreement = crosscheck.check_model(subject) if check else None
    shown = result.by(by) if by else result
    show(crosscheck.CheckedReport(shown, agreement) if agreement else shown, format, output)
    if agreement and format == "csv":
        Console(stderr=True).print(agreement, soft_wrap=True)
    disagrees = agreement is not None and not agreement.agree
    return int(disagrees or (strict and not result.complete))


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
    with working(True):
        agreement = crosscheck.check_model(described(model, alpha, resolution, set_, batch, input_))
    show(agreement, format)
    return int(not agreement.agree)


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


def published_figures(
    family: Annotated[
        str | None,
        typer.Argument(
            help="A family (mobilenet) or a network (mobilenet_v2); all of them unless given.",
            autocompletion=arguments.families,
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
    with working(True):
        found = published(family)
    show(found, format, output)


def follow_guidelines(
    model: Annotated[
        str | None,
        typer.Argument(
            help="As for 'mbanalyze report'; without one, the experiments behind the guidelines.",
            autocompletion=arguments.models,
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
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
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
            raise UsageError("--alpha, --resolution, --set, --batch and --input are about a model: name one")
        require_writable(output)
        show(_measured(seconds, device) if measure else guidelines(), format, output)
        return
    if measure:
        raise UsageError("--measure runs the paper's experiments, not a model: leave the model out")
    with working(not is_closed_form(model)):
        analysis = guidelines(described(model, alpha, resolution, set_, batch, input_).report())
    show(analysis, format, output, top=top)


def _measured(seconds: float, device: str) -> Experiments:
    """The experiments on this machine, with a progress bar on a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=1.0)
        return guidelines(
            measure=True,
            seconds=seconds,
            device=device,
            progress=lambda share: progress.update(task, completed=share),
        )
