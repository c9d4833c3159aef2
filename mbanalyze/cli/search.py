"""The command `mbanalyze search`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import mbanalyze
from mbanalyze.cli.ablate import Accuracy, Published
from mbanalyze.cli.arguments import (
    Convention,
    Dtype,
    Format,
    GridOptions,
    Output,
    Plot,
    PlotSize,
    Profile,
    UsageError,
    Width,
    checked,
    needs_trace,
)
from mbanalyze.cli.completion import complete_searched, matching
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, notify, publish, require_files, require_readable
from mbanalyze.cli.progress import progress_bar, working
from mbanalyze.cli.search_spaces import Shown, SpaceOptions, search_blocks
from mbanalyze.cli.wildcards import Resume, TimeLimit, Workers, is_many, models_bar
from mbanalyze.inputs.parsing import parse_count, parse_milliseconds
from mbanalyze.sweep.objectives import BYTES, LIMITS, OBJECTIVES


def limit(total: str, example: str) -> Any:
    """Declare the option that limits a total."""
    help = f"Most {LIMITS[total]} of a variant, such as {example}."
    if total in BYTES:
        parser = checked(partial(parse_count, of_bytes=True))
        return typer.Option(parser=parser, metavar="BYTES", help=help)
    if total == "predicted_ms":
        help = f"Longest {LIMITS[total]} of a variant in milliseconds, such as {example}. It needs --profile."
        return typer.Option(parser=checked(parse_milliseconds), metavar="MILLISECONDS", help=help)
    return typer.Option(parser=checked(parse_count), metavar="COUNT", help=help)


Family = Annotated[
    str,
    typer.Argument(
        metavar="FAMILY",
        help="A network (mobilenet_v2), a family (mobilenet), or all. Or all that match, such as 'timm:mobilenet*'.",
        autocompletion=complete_searched,
    ),
]
Objective = Annotated[
    str | None,
    typer.Option(
        metavar=f"[{'|'.join(OBJECTIVES)}|METRIC]",
        help="Quantity to maximise: top1 (default), a total, or another metric in the file of --accuracy. "
        "Or predicted_ms, which is minimised and needs --profile. "
        "With --space: macs (default), a proxy of accuracy and no accuracy, or your function FILE.py:FUNCTION.",
        autocompletion=lambda incomplete: matching(OBJECTIVES, incomplete),
    ),
]
Images = Annotated[int, typer.Option(metavar="N", help="Images in the input.")]


def search(
    grid: GridOptions,
    blocks: SpaceOptions,
    family: Family = "all",
    max_macs: Annotated[int | None, limit("macs", "150M")] = None,
    max_params: Annotated[int | None, limit("params", "3.4M")] = None,
    max_memory_access: Annotated[int | None, limit("memory_access", "20M")] = None,
    max_activations: Annotated[int | None, limit("activations", "5M")] = None,
    max_peak: Annotated[int | None, limit("peak_bytes", "320KB or 320KiB")] = None,
    max_peak_deployed: Annotated[int | None, limit("peak_bytes_deployed", "320KB or 320KiB")] = None,
    max_ms: Annotated[float | None, limit("predicted_ms", "5")] = None,
    objective: Objective = None,
    dtype: Dtype = None,
    batch: Images = 1,
    convention: Convention = None,
    profile: Profile = None,
    accuracy: Accuracy = None,
    published: Published = False,
    workers: Workers = None,
    time_limit: TimeLimit = None,
    resume: Resume = None,
    format: Format = None,
    output: Output = None,
    width: Width = None,
    plot: Plot = None,
    plot_size: PlotSize = None,
) -> int:
    """Find the best variants within limits.

    The command shows the Pareto front, and the limits that exclude better variants.
    Without --alpha or --resolution, the command considers all values with published figures.
    With --plot, it draws the front and the limits. The exit code is 1 if no variant fits.
    The ideal peak of memory is the least that the order of the operators needs.
    The deployed peak is that of an inference engine for small devices. Both depend on --dtype.
    With --space, the command chooses kernel, expansion, depth and width of each stage of a network.
    With --profile, the time of each variant is predicted: it joins the costs of the front, and --max-ms limits it.
    A peak is a maximum of sums: a search among 100,000 variants of a known network takes about 2 s.

    \b
    mbanalyze search all --max-macs 150M --max-params 3M
    mbanalyze search mobilenet_v2 --max-macs 100M --alpha 0.1:1.4:0.01
    mbanalyze search all --max-params 3M --objective macs
    mbanalyze search all --max-peak-deployed 320KiB --dtype int8
    mbanalyze search mobilenet_v1 --max-macs 150M --convention thop
    mbanalyze search all --max-ms 10 --profile machine.json
    mbanalyze search 'timm:mobilenet*' --max-macs 300M --objective macs
    mbanalyze search --space mobilenet_v2 --board stm32f746 --trials 2000
    mbanalyze search --space mobilenet_v3 --tune-space
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output, plot, plot_size)
    format = choose_format(format, output)
    limits: dict[str, Any] = {
        "max_macs": max_macs,
        "max_params": max_params,
        "max_memory_access": max_memory_access,
        "max_activations": max_activations,
        "max_peak": max_peak,
        "max_peak_deployed": max_peak_deployed,
        "max_ms": max_ms,
    }
    if blocks.given:
        others: dict[str, Any] = {
            "batch": batch != 1,
            "convention": convention,
            "accuracy": accuracy,
            "published": published,
        }
        others |= {"workers": workers, "time_limit": time_limit, "resume": resume}
        blocks.refuse(family, others)
        settings = {**limits, "objective": objective, "dtype": dtype, "profile": profile}
        return search_blocks(blocks, grid, settings, Shown(format, output, width, plot, plot_size))
    if profile is None and (max_ms is not None or objective == "predicted_ms"):
        option = "--max-ms" if max_ms is not None else "--objective predicted_ms"
        raise UsageError(f"{option} needs --profile FILE.json, which 'mbanalyze calibrate' makes")
    limits |= grid.options(mbanalyze.search)
    many = is_many(family)
    traces = needs_trace(convention)
    bar = models_bar() if many else progress_bar("tracing", shown=traces)
    with working(not many and not traces), bar as progress:
        found = mbanalyze.search(
            family,
            objective=objective,
            dtype=dtype,
            batch=batch,
            convention=convention,
            profile=profile,
            workers=workers,
            time_limit=time_limit,
            resume=resume,
            progress=progress,
            accuracy=accuracy,
            published=published,
            **limits,
        )
    rows = found.size("front" if format in ("table", "markdown") else "variants")
    require_readable(rows, format, output)
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.pareto, found, plot, plot_size)
    publish(found, format, output, files, width=width, flags=True)
    if plot is not None and (note := plots.left_out(found)):
        notify(note)
    return int(found.best is None)
