"""Trace every variant of a factory over a grid of options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mbanalyze.display import records
from mbanalyze.literature.accuracy.own_table import OwnAccuracy
from mbanalyze.sweep import traced
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.figure_columns import traced_columns
from mbanalyze.sweep.grid import Grid, combinations, input_sizes, spelled


def ablate_factory(
    what: Any,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    trace: Callable[[Sequence[traced.CountArguments]], list[dict[str, Any] | None]],
    own: OwnAccuracy | None,
) -> Ablation:
    """Return the ablation of a factory.

    Args:
        what: the factory, as for `count`.
        inputs: the positional arguments of the networks' forward.
        grid: the values of each option.
        settings: further arguments of `count`.
        trace: counts variants; None stands for one that is left out.
        own: the user's accuracy.

    Raises:
        GridError, VariantError, SourceError, InputError: as for `ablate`.
        AccuracyError: the accuracy contradicts itself.
    """
    rest = {option: values for option, values in grid.items() if option not in ("rho", "resolution")}
    first = {option: values[0] for option, values in rest.items()}
    sizes, rhos = input_sizes(grid, lambda: traced.default_resolution(what, inputs, first))
    variants = list(combinations(rest | ({"resolution": sizes} if sizes else {})))
    counted = trace([traced.count_arguments(what, inputs, {**variant, **settings}) for variant in variants])
    rho_of = dict(zip(sizes or (), rhos or (), strict=False))
    rows = [
        {name: value for name, value in variant.items() if name not in (*traced.TRACE_OPTIONS, "resolution")}
        | ({"rho": rho_of[variant["resolution"]]} if rhos else {})
        | ({"resolution": spelled(variant["resolution"])} if sizes else {})
        | (totals or {})
        for variant, totals in zip(variants, counted, strict=True)
    ]
    columns, use = traced_columns(own, factory_name(what), variants) if own else ([{}] * len(rows), None)
    pairs = zip(rows, columns, counted, strict=True)
    frame = records.frame([row | more for row, more, totals in pairs if totals is not None])
    shapes = traced.input_sizes(what, inputs, {option: values[0] for option, values in grid.items()})
    return Ablation(frame, own=use, model=factory_name(what), input=shapes)


def factory_name(what: Any) -> str:
    """Return the name of a factory, which a row of the user's accuracy may state."""
    return what if isinstance(what, str) else str(getattr(what, "__name__", ""))
