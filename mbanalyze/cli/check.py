"""The command `mbanalyze check`."""

from __future__ import annotations

import mbanalyze
from mbanalyze.cli.arguments import Format, Keep, Model, ModelOptions, Output, Real, Width
from mbanalyze.cli.formats import choose_format
from mbanalyze.cli.output import publish, require_files
from mbanalyze.cli.progress import working


def check(
    model: Model,
    given: ModelOptions,
    real: Real = None,
    keep: Keep = False,
    format: Format = None,
    output: Output = None,
    width: Width = None,
) -> int:
    """Check the counts of a model with other tools.

    The closed form is compared with a trace of the module, and the trace with fvcore and the module's parameters.
    Kinds of operators that fvcore does not count are not compared.
    The exit code is 1 if two counts disagree, or if no operator could be compared.

    \b
    mbanalyze check mobilenet_v2 --alpha 1.4
    mbanalyze check net.py:build --input 1,3,64,64 --format json
    """  # noqa: D301 (the character keeps typer from joining the lines)
    require_files(output)
    format = choose_format(format, output)
    with working(True) as progress:
        checked = mbanalyze.check(
            model, *given.inputs, real=real, keep=keep, progress=progress, **given.options
        )
    publish(checked, format, output, width=width)
    return int(checked.agree is not True)
