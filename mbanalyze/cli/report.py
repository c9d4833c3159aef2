"""The command `mbanalyze report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mbanalyze.cli import arguments
from mbanalyze.cli.completion import matching
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import drawn, publish, require_files, require_page
from mbanalyze.cli.progress import working
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import Mode
from mbanalyze.report.columns import COLUMNS, COUNTS
from mbanalyze.report.rows import KEYS
from mbanalyze.report.selection import chosen_columns
from mbanalyze.report.view import REPORT_FORMATS
from mbanalyze.training_cost.optimizer_state import OPTIMIZERS


def complete_columns(incomplete: str) -> list[str]:
    """Return the lists of columns that complete the last name of a list."""
    *given, last = incomplete.split(",")
    rest = [name for name in COLUMNS if name not in given]
    return [",".join([*given, name]) for name in matching(rest, last)]


By = Annotated[
    str | None, arguments.choice("grouping", KEYS, "One row for each of these (default module in tables).")
]
ReportFormat = Annotated[str | None, arguments.format_of(REPORT_FORMATS)]
Top = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Only the N largest rows; a table sums the others in one row."),
]
Sort = Annotated[
    str | None,
    typer.Option(
        parser=arguments.checked(lambda given: choose("column to sort by", given, COUNTS)),
        autocompletion=lambda incomplete: matching(COUNTS, incomplete),
        metavar="COLUMN",
        help="Sort rows by a column of numbers, the largest first (default: as they run; with --top, macs).",
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Show the tree of modules down to N levels; the last level sums everything inside.",
    ),
]
Collapse = Annotated[
    bool,
    typer.Option("--collapse/--no-collapse", help="With --depth, show equal modules in a row as one."),
]
Columns = Annotated[
    str | None,
    typer.Option(
        parser=arguments.checked(lambda given: ",".join(chosen_columns(given))),
        autocompletion=complete_columns,
        metavar="LIST",
        help=f"Columns to show, with commas between them: {', '.join(COLUMNS)}.",
    ),
]
CountedMode = Annotated[Mode, arguments.run_mode(" that is counted; --train adds the backward pass")]
Train = Annotated[
    bool,
    typer.Option(
        "--train", help="Count the forward pass in training mode, and add the cost of a training step."
    ),
]
Optimizer = Annotated[
    str | None, arguments.choice("optimizer", OPTIMIZERS, "Optimizer of the training step (default sgd).")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if an operator could not be counted.")]
Check = Annotated[
    bool, typer.Option("--check", help="Add the result of 'mbanalyze check'; exit with 1 if it disagrees.")
]


def report(
    model: arguments.Model,
    given: arguments.ModelOptions,
    dtype: arguments.Dtype = None,
    trace: arguments.Trace = False,
    mode: CountedMode = "eval",
    real: arguments.Real = None,
    keep: arguments.Keep = False,
    fused: arguments.Fused = False,
    convention: arguments.Convention = None,
    train: Train = False,
    optimizer: Optimizer = None,
    by: By = None,
    top: Top = None,
    sort: Sort = None,
    depth: Depth = None,
    collapse: Collapse = True,
    columns: Columns = None,
    format: ReportFormat = None,
    output: arguments.Output = None,
    width: arguments.Width = None,
    plot: arguments.Plot = None,
    plot_size: arguments.PlotSize = None,
    strict: Strict = False,
    check: Check = False,
) -> int:
    """Report the cost of a model, layer by layer.

    With --plot, the command draws the share of each operator in the totals, along the depth of the network.

    \b
    mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192
    mbanalyze report mobilenet_v2 --top 10 --sort memory_access
    mbanalyze report mobilenet_v2 --fused --by op
    mbanalyze report mobilenet_v2 --convention thop --by kind
    mbanalyze report mobilenet_v2 --train --optimizer adam --by kind
    mbanalyze report mobilenet_v2 --depth 2 --columns output,params,macs
    mbanalyze report timm:convnext_tiny --by block
    mbanalyze report transformers:BertConfig --input input_ids=1,128:int64
    mbanalyze report net.py:build --input 1,3,64,64 -o cost.json
    mbanalyze report mobilenet_v2 -o report.html
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.crosscheck.witnesses import CheckedReport, check_model
    from mbanalyze.sources.resolve import resolve

    require_files(output, plot, plot_size)
    if optimizer is not None and not train:
        raise arguments.UsageError("--optimizer is about training: give --train too")
    if check and convention is not None:
        raise arguments.UsageError("--check compares counts of mbanalyze: leave out --check or --convention")
    format = choose_format(format, output, REPORT_FORMATS)
    if format == "html":
        require_page(output)
    with working(trace or check or train or not arguments.is_closed_form(model, convention)) as progress:
        resolved = resolve(model, *given.inputs, **given.options)
        counted = resolved.report(
            trace=trace,
            dtype=dtype,
            mode=mode,
            real=real,
            keep=keep,
            fused=fused,
            convention=convention,
            train=train,
            optimizer=optimizer,
        )
        checked = check_model(resolved, real=real, keep=keep, progress=progress) if check else None
    shown = counted.by(by) if by else counted
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze.plots import profile

        files = drawn(profile, counted, plot, plot_size)
    settings: dict[str, Any] = {
        "sort": sort,
        "top": top,
        "depth": depth,
        "columns": columns,
        "collapse": collapse,
    }
    publish(
        CheckedReport(shown, checked) if checked else shown, format, output, files, width=width, **settings
    )
    if checked and format == "csv":
        Console(stderr=True).print(checked, soft_wrap=True)
    incomplete = not counted.complete or bool(counted.uncounted_training)
    return int((checked is not None and not checked.agree) or (strict and incomplete))
