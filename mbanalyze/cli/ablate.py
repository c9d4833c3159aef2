"""The command `mbanalyze ablate`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli import arguments
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, notify, publish, require_files, require_readable
from mbanalyze.cli.progress import progress_bar, working
from mbanalyze.cli.training_options import TrainingOptions
from mbanalyze.cli.wildcards import Resume, TimeLimit, exit_code, is_many, models_bar, prepare, say_kept
from mbanalyze.inputs.parsing import unique
from mbanalyze.sources.patterns import is_pattern
from mbanalyze.sources.processes import cpus

Pattern = Annotated[str, arguments.model_argument(" Or a pattern, such as 'timm:mobilenet*'.")]
Bits = Annotated[
    int | None,
    typer.Option(min=1, max=64, metavar="N", help="Bits of a stored parameter, for the model's size."),
]
Source = Annotated[
    str,
    typer.Option(
        metavar="TEXT", help="Use only published figures whose source starts with TEXT.", show_default=False
    ),
]
Accuracy = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv|RUNS",
        help="Your own accuracy instead of the published one: columns are options or model, and top1 or other metrics. "
        "Or a folder of runs of 'mbanalyze train'.",
        show_default=False,
    ),
]
Published = Annotated[
    bool, typer.Option("--published", help="Show published accuracy where the file of --accuracy has none.")
]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave out options that make no network.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes that trace a factory's variants, many models, or the variants of a --convention, or --train "
        "(default one per processor).",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 1 if a variant could not be counted completely.")
]


def ablate(
    model: Pattern,
    grid: arguments.GridOptions,
    training: TrainingOptions,
    batch: arguments.Batch = None,
    input: arguments.Input = None,
    dtype: arguments.Dtype = None,
    bits: Bits = None,
    source: Source = "",
    accuracy: Accuracy = None,
    published: Published = False,
    skip_invalid: SkipInvalid = False,
    convention: arguments.Convention = None,
    profile: arguments.Profile = None,
    workers: Workers = None,
    time_limit: TimeLimit = None,
    resume: Resume = None,
    strict: Strict = False,
    format: arguments.Format = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
    plot: arguments.Plot = None,
    plot_size: arguments.PlotSize = None,
) -> int:
    """Count every variant over a grid of options.

    A name with * or ? stands for all models that match. Quote it, so that the shell leaves it alone.
    A model of a pattern that fails is named with the reason. The exit code is 1 if none is counted.

    Published accuracy and latency are shown with the counts of known architectures, or your own with --accuracy.
    With --profile, the time of each variant is predicted, with an interval of 80 %.
    With --train, every variant is trained, and --output keeps a folder for each run. The same command goes on with
    runs that were stopped. --rho is then a fraction of the usual size of the images (32, or 224 for a folder).
    With --plot, the command draws accuracy against cost, or costs against the options if there is no accuracy.
    The variants of a known network are counted together. A peak of memory is then a maximum of sums:
    100,000 variants take about 1 s, written as CSV.

    \b
    mbanalyze ablate mobilenet_v1 --alpha 1,0.75,0.5 --resolution 224,192,160
    mbanalyze ablate mobilenet_v2 --alpha 0.35:1.4:0.05 --rho 1,0.5 --plot v2.svg
    mbanalyze ablate shufflenet_v1 --set groups=1,2,3,4,8 -o groups.csv
    mbanalyze ablate net.py:build --set width=8,16 --input 1,3,64,64 --workers 2
    mbanalyze ablate mobilenet_v1 --alpha 1,0.5 --convention thop
    mbanalyze ablate mobilenet_v2 --alpha 1,0.5 --profile machine.json
    mbanalyze ablate mobilenet_v1 --alpha 1,0.5 --rho 1,0.5 --train digits -o runs
    mbanalyze ablate 'timm:mobilenet*' --resolution 224,192 --resume zoo.csv
    """  # noqa: D301 (the character keeps typer from joining the lines)
    plan = training.plan(output)
    output = None if plan else output
    require_files(output, plot, plot_size)
    kept = resume is not None and output is None and format is None
    format = choose_format(format, output)
    options = grid.options(mbanalyze.ablate)
    if batch is not None:
        options = unique([*options.items(), ("batch", [batch])])
    variants, many = math.prod(map(len, options.values())), is_many(model)
    if is_pattern(model):
        variants *= prepare(model, resume, output, plot)
    if not kept:
        require_readable(variants, format, output)
    traces = arguments.needs_trace(convention)
    known = not traces and (arguments.is_closed_form(model) or (is_pattern(model) and not many))
    if plan:
        known, variants = False, variants * plan.seeds
    if known and workers is not None:
        raise arguments.UsageError(
            f"--workers is for the variants of a factory: {model} is counted in closed form"
        )
    inputs, keywords = arguments.inputs_of(input)
    with (
        working(known and profile is not None),
        models_bar()
        if many
        else progress_bar("training" if plan else "tracing", shown=not known) as progress,
    ):
        ablation = mbanalyze.ablate(
            model,
            *inputs,
            dtype=dtype,
            bits=bits,
            source=source,
            accuracy=accuracy,
            published=published,
            skip_invalid=skip_invalid,
            convention=convention,
            profile=profile,
            train=plan,
            executor=None,
            workers=workers if many or known else _processes(variants, workers),
            time_limit=time_limit,
            resume=resume,
            progress=progress,
            **options,
            **keywords,
        )
    code = exit_code(ablation, strict=strict)
    if resume is not None and kept:
        say_kept(ablation, resume)
        return code
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze import plots

        files = drawn(plots.ablation, ablation, plot, plot_size)
    publish(ablation, format, output, files, width=width, flags=True)
    if plot is not None and (note := plots.left_out(ablation)):
        notify(note)
    return code


def _processes(variants: int, workers: int | None) -> int | None:
    """The number of processes that trace variants; None for this process alone."""
    wanted = workers or (cpus() if variants > 2 else 1)
    return min(variants, wanted) if min(variants, wanted) > 1 else None
