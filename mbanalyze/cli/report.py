"""The command `mbanalyze report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mbanalyze.cli import arguments
from mbanalyze.cli.output import drawn, publish, require_files, require_page
from mbanalyze.cli.progress import working
from mbanalyze.inputs.typed import Mode
from mbanalyze.report.rows import KEYS
from mbanalyze.report.view import REPORT_FORMATS

By = Annotated[
    str | None, arguments.choice("grouping", KEYS, "One row for each of these (default module in tables).")
]
ReportFormat = Annotated[
    str, arguments.choice("format", REPORT_FORMATS, "Output format; html is a page, for --output.")
]
Trace = Annotated[bool, typer.Option("--trace", help="Trace the module instead of using the closed form.")]
RunMode = Annotated[Mode, typer.Option(help="Mode in which the module runs.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if an operator could not be counted.")]
Check = Annotated[
    bool, typer.Option("--check", help="Add the result of 'mbanalyze check'; exit with 1 if it disagrees.")
]


def report(
    model: arguments.Model,
    given: arguments.ModelOptions,
    dtype: arguments.Dtype = None,
    trace: Trace = False,
    mode: RunMode = "eval",
    real: arguments.Real = None,
    keep: arguments.Keep = False,
    by: By = None,
    format: ReportFormat = "table",
    output: arguments.Output = None,
    plot: arguments.Plot = None,
    plot_size: arguments.PlotSize = None,
    strict: Strict = False,
    check: Check = False,
) -> int:
    """Report the cost of a model, layer by layer.

    With --plot, the command draws the share of each operator in the totals, along the depth of the network.

    \b
    mbanalyze report mobilenet_v2 --alpha 0.75 --resolution 192
    mbanalyze report timm:convnext_tiny --by block
    mbanalyze report transformers:BertConfig --input input_ids=1,128:int64
    mbanalyze report net.py:build --input 1,3,64,64 --format json
    mbanalyze report mobilenet_v2 --format html --output report.html
    """  # noqa: D301 (the character keeps typer from joining the lines)
    from mbanalyze.crosscheck.witnesses import CheckedReport, check_model
    from mbanalyze.sources.resolve import resolve

    require_files(output, plot, plot_size)
    if format == "html":
        require_page(output)
    with working(trace or check or not arguments.is_closed_form(model)):
        resolved = resolve(model, *given.inputs, **given.options)
        counted = resolved.report(trace=trace, dtype=dtype, mode=mode, real=real, keep=keep)
        checked = check_model(resolved, real=real, keep=keep) if check else None
    shown = counted.by(by) if by else counted
    files: dict[Path, str | bytes] = {}
    if plot is not None:
        from mbanalyze.plots import profile

        files = drawn(profile, counted, plot, plot_size)
    publish(CheckedReport(shown, checked) if checked else shown, format, output, files)
    if checked and format == "csv":
        Console(stderr=True).print(checked, soft_wrap=True)
    return int((checked is not None and not checked.agree) or (strict and not counted.complete))
