"""The command `mbanalyze guidelines`."""

from __future__ import annotations

from typing import Annotated

import typer

import mbanalyze
from mbanalyze.cli.arguments import (
    Format,
    Fused,
    ModelOptions,
    Output,
    UsageError,
    Width,
    is_closed_form,
)
from mbanalyze.cli.completion import complete_model
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import publish, require_files
from mbanalyze.cli.progress import progress_bar, working

OptionalModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="A model, as for 'mbanalyze report'. Without one, the command shows the paper's experiments.",
        autocompletion=complete_model,
        show_default=False,
    ),
]
Top = Annotated[
    int, typer.Option(min=1, metavar="N", help="Number of layers and blocks to show for each guideline.")
]
Measure = Annotated[bool, typer.Option("--measure", help="Time the paper's experiments on this machine.")]
Seconds = Annotated[float, typer.Option(min=0, metavar="N", help="Time to spend on --measure.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="Device for --measure: cpu or cuda.")]


def guidelines(
    given: ModelOptions,
    model: OptionalModel = None,
    fused: Fused = False,
    measure: Measure = False,
    seconds: Seconds = 60.0,
    device: Device = "cpu",
    top: Top = 10,
    format: Format = None,
    output: Output = None,
    width: Width = None,
) -> None:
    """Apply ShuffleNet V2's guidelines to a model.

    For each guideline, G1 to G4, the command lists the layers or blocks that break it most.
    Without a model, it shows the paper's experiments, and the speeds that memory access predicts.

    \b
    mbanalyze guidelines mobilenet_v2 --alpha 1.4 --top 5
    mbanalyze guidelines mobilenet_v2 --fused
    mbanalyze guidelines --measure
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    if model is not None:
        if measure:
            raise UsageError("--measure times the paper's experiments: leave out the model")
        with working(not is_closed_form(model)):
            analysis = mbanalyze.guidelines(model, *given.inputs, fused=fused, **given.options)
        publish(analysis, format, output, top=top, width=width)
        return
    if fused or given != ModelOptions():
        raise UsageError("--alpha, --resolution, --set, --batch, --input and --fused need a model")
    with progress_bar("measuring", shown=measure) as progress:
        experiments = mbanalyze.guidelines(measure=measure, seconds=seconds, device=device, progress=progress)
    publish(experiments, format, output, width=width)
