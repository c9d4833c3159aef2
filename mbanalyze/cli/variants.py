"""The commands about several variants or models side by side: each a few lines over the library."""

from __future__ import annotations

import contextlib
import inspect
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from mbanalyze.cli import arguments
from mbanalyze.cli.arguments import Batch, Input, Model, Output, UsageError, is_closed_form, working
from mbanalyze.cli.output import show
from mbanalyze.display.files import OutputError, require_writable
from mbanalyze.inputs import parsing

if TYPE_CHECKING:
    from mbanalyze.sweep.ablation import Ablation
    from mbanalyze.sweep.budget import Search

READABLE = 1_000
"""So many rows are shown on a terminal at most."""

Values = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUES",
        help="Any other option and its values, such as groups=1,2,3; repeatable.",
    ),
]
Alphas = Annotated[
    str | None,
    typer.Option(
        metavar="VALUES", help="Width multipliers: 1,0.75,0.5 or 0.25:1.5:0.05.", show_default=False
    ),
]
Resolutions = Annotated[
    str | None,
    typer.Option(metavar="VALUES", help="Input sizes in pixels: 224,192 or 96:224:32.", show_default=False),
]
Rhos = Annotated[
    str | None,
    typer.Option(
        metavar="VALUES",
        help="Resolution multipliers: fractions of the network's own input size, 1,0.857,0.714,0.571.",
        show_default=False,
    ),
]


def _grid(
    function: Callable[..., Any], settings: list[str] | None, **given: str | int | None
) -> dict[str, list[Any]]:
    """The values of each option that was given, which are for `function`."""
    if given["rho"] is not None and given["resolution"] is not None:
        raise UsageError("--rho and --resolution both say how large the input is: give one of them")
    pairs = [(name, str(values)) for name, values in given.items() if values is not None]
    for text in settings or []:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"malformed option {text!r}: give key=values")
        pairs.append((name.strip(), values))
    own = inspect.signature(function).parameters.values()
    taken = {each.name for each in own if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)}
    for i, (name, _) in enumerate(pairs):
        if name in dict(pairs[:i]):
            raise UsageError(f"{name} is given twice")
        if name in taken:
            raise UsageError(f"--set {name} is about the command, not the network: see --help")
    return {name: parsing.parse_axis(values) for name, values in pairs}


def ablate(
    model: Model,
    alpha: Alphas = None,
    resolution: Resolutions = None,
    rho: Rhos = None,
    set_: Values = None,
    batch: Batch = None,
    input_: Input = None,
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16", "int8"] | None,
        typer.Option(help="What an element is taken to be where bytes are reported."),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Bits of a stored parameter, for the model's size.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--source", help="Take published figures from sources that begin so.", show_default=False
        ),
    ] = "",
    skip: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave out choices of options that make no network.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that trace, for a factory; one a processor unless given.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
    output: Output = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw it too, as .png, .svg or .pdf: against published accuracy where there is some.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Count every variant of a model over a grid of options, beside published accuracy and latency.

    \b
    mbanalyze ablate mobilenet_v1 --alpha 1,0.75,0.5,0.25 --resolution 224,192,160,128
    mbanalyze ablate mobilenet_v2 --alpha 0.35:1.4:0.05 --rho 1,0.857 --plot mobilenet_v2.svg
    mbanalyze ablate shufflenet_v1 --set groups=1,2,3,4,8 --format csv --output groups.csv
    mbanalyze ablate net.py:build --set width=8,16,32 --input 1,3,64,64 --workers 4
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.sweep import ablation

    grid = _grid(ablation.ablate, set_, alpha=alpha, resolution=resolution, rho=rho, batch=batch)
    variants = math.prod(map(len, grid.values()))
    known = is_closed_form(model)
    if known and workers is not None:
        raise UsageError(f"--workers trace a factory's variants: {model} is counted in closed form")
    _check_readable(variants, format, output)
    _check_files(output, plot)
    inputs, named = arguments.shapes_of(input_)
    grid |= {"kwargs": [named]} if named else {}
    with working(False), _tracing(0 if known else variants, workers) as (executor, progress):
        result = ablation.ablate(
            model,
            *inputs,
            dtype=dtype,
            bits=bits,
            source=source,
            skip_invalid=skip,
            executor=executor,
            progress=progress,
            **grid,
        )
    show(result, format, output)
    if plot is not None:
        _draw(plot, result)


def _check_readable(variants: int, format: str, output: Path | None) -> None:
    """Raise `UsageError` where nobody could read, or even wait for, what is asked for."""
    on_terminal = (output is None or str(output) == "-") and sys.stdout.isatty()
    if variants > READABLE and (
        on_terminal or (format in ("table", "markdown") and variants > 10 * READABLE)
    ):
        raise UsageError(
            f"{variants:,} variants are too many to read: give fewer, or --format csv with --output FILE"
        )


def _check_files(output: Path | None, plot: Path | None) -> None:
    """Raise before long work whose result could not be written."""
    for file in (output, plot):
        require_writable(file)
    if plot is None:
        return
    from mbanalyze import plots

    plots.check_format(plot)
    if output is not None and output.resolve() == plot.resolve():
        raise OutputError(f"--output and --plot are both {plot}: give two files")


@contextlib.contextmanager
def _tracing(variants: int, workers: int | None) -> Iterator[tuple[Executor | None, Callable[[float], None]]]:
    """Processes that trace so many variants, and a progress bar on a terminal."""
    processes = min(variants, workers or (os.cpu_count() or 1) if variants > 2 or workers else 1)
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        bar = Progress(console=console, transient=True, disable=not (variants and console.is_terminal))
        stack.enter_context(bar)
        task = bar.add_task("tracing", total=1.0)
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        pool = ProcessPoolExecutor(processes, context, _keep_stdout) if processes > 1 else None
        executor = stack.enter_context(pool) if pool else None
        yield executor, lambda share: bar.update(task, completed=share)


def _keep_stdout() -> None:
    """In a process that traces: what a script says goes where messages go."""
    sys.stdout = sys.stderr


def _draw(file: Path, result: Ablation | Search) -> None:
    """The plot that variants allow, or the front of what was found; why there is none, on stderr."""
    from mbanalyze import plots
    from mbanalyze.sweep.budget import Search

    try:
        if isinstance(result, Search):
            ax = plots.pareto(result, cost=result.costs[0], objective=result.ranked_by)
        else:
            ax = plots.ablation(result)
        plots.save(ax, file)
    except plots.PlotError as error:
        print(f"mbanalyze: nothing is drawn: {error}", file=sys.stderr)


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL...",
            help="As for 'mbanalyze report', each with its options behind an @: mobilenet_v2@alpha=0.75,resolution=192.",
            autocompletion=arguments.models,
            show_default=False,
        ),
    ],
    input_: Input = None,
    top: Annotated[int, typer.Option(min=1, help="How many of the layers that differ most to show.")] = 10,
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
    output: Output = None,
) -> None:
    """Compare models: totals and ratios, and where the difference lies by kind of operator and by stage.

    Of two models also their layers, aligned, the largest growth first. An input is that of all models that
    do not know their own.

    \b
    mbanalyze compare mobilenet_v2 mobilenet_v2@alpha=0.75,resolution=192
    mbanalyze compare mobilenet_v1 mobilenet_v2 shufflenet_v2 --format markdown
    mbanalyze compare net.py:build net.py:build@width=16 --input 1,3,64,64
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.comparison import comparison

    require_writable(output)
    with working(True):
        inputs, named = arguments.shapes_of(input_)
        compared = comparison.compare(*models, inputs=inputs, **({"kwargs": named} if named else {}))
    show(compared, format, output, **({} if format in ("csv", "json") else {"top": top}))


def search(
    family: Annotated[
        str,
        typer.Argument(
            help="A network (mobilenet_v2), a family of them (mobilenet), or all.",
            autocompletion=arguments.families,
        ),
    ] = "all",
    max_macs: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="At most so many multiply-accumulates: 150M.", show_default=False),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="COUNT", help="At most so many params: 3.4M.", show_default=False)
    ] = None,
    max_memory_access: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="At most so many elements read and written.", show_default=False),
    ] = None,
    max_activations: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT", help="At most so many outputs of convolutions and products.", show_default=False
        ),
    ] = None,
    objective: Annotated[
        Literal["top1", "params", "macs"],
        typer.Option(help="What the best has most of: published accuracy, or params or macs in its stead."),
    ] = "top1",
    alpha: Alphas = None,
    resolution: Resolutions = None,
    rho: Rhos = None,
    set_: Values = None,
    format: Annotated[
        Literal["table", "markdown", "csv", "json"], typer.Option(help="How to print it.")
    ] = "table",
    output: Output = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the Pareto front too, as .png, .svg or .pdf.", show_default=False
        ),
    ] = None,
) -> int:
    """Find the best variants within a budget, and say which limit binds.

    An alpha or resolution that is not given is each that something is published of. Exit code 1 when nothing fits.

    \b
    mbanalyze search all --max-macs 150M --max-params 3M
    mbanalyze search mobilenet_v2 --max-macs 100M --alpha 0.1:1.4:0.01 --objective macs
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.sweep import budget

    limits = {
        "max_macs": max_macs,
        "max_params": max_params,
        "max_memory_access": max_memory_access,
        "max_activations": max_activations,
    }
    counts: dict[str, Any] = {
        name: parsing.parse_count(text) for name, text in limits.items() if text is not None
    }
    grid = _grid(budget.search, set_, alpha=alpha, resolution=resolution, rho=rho)
    _check_files(output, plot)
    with working(True):
        found = budget.search(family, **{**grid, **counts}, objective=objective)
    rows = found.frame("front" if format in ("table", "markdown") else "variants")
    _check_readable(len(rows), format, output)
    show(found, format, output)
    if plot is not None:
        _draw(plot, found)
    return int(found.best is None)
