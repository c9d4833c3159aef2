"""Count every variant of a network over a grid of options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbanalyze.conventions.convention_names import find_convention
from mbanalyze.inputs.typed import is_whole
from mbanalyze.literature.accuracy.own_table import read_accuracy
from mbanalyze.sources.input_advice import shape_refused
from mbanalyze.sources.patterns import is_pattern
from mbanalyze.sources.references import split_given
from mbanalyze.sources.timed_reports import given_profile
from mbanalyze.sweep import traced
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.factory_variants import ablate_factory, factory_name
from mbanalyze.sweep.figure_columns import ShownFigures
from mbanalyze.sweep.grid import Grid, GridError, parse_grid
from mbanalyze.sweep.known_variants import Counts, ablate_known, known_architecture
from mbanalyze.sweep.many_architectures import count_architectures
from mbanalyze.sweep.many_models import count_models
from mbanalyze.sweep.model_jobs import Run
from mbanalyze.sweep.predicted_columns import dtype_with, require_forward

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.archs.options import Architecture
    from mbanalyze.conventions.convention import Convention
    from mbanalyze.inputs.typed import AnyPath
    from mbanalyze.literature.accuracy.own_table import Accuracy
    from mbanalyze.profiles.time_profile import Profile
    from mbanalyze.sources.resolve import Countable
    from mbanalyze.training.plan import TrainingPlan


def ablate(
    what: Countable | type[Architecture],
    /,
    *inputs: Any,
    dtype: str | None = None,
    bits: int | None = None,
    source: str | Sequence[str] = "",
    accuracy: Accuracy | None = None,
    published: bool = False,
    skip_invalid: bool = False,
    convention: str | None = None,
    profile: AnyPath | Profile | None = None,
    train: str | TrainingPlan | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    resume: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Ablation:
    """Count every variant of a network, or of all models that match a pattern such as `timm:mobilenet*`.

    The models of a package are counted in other processes: one that fails has an `error` in its row.

    Args:
        what: as for `count`, or the class of an architecture; not a module, which has no options. Or a pattern:
            the name in `timm:NAME` or `torchvision:NAME`, or an architecture, with `*`, `?` or `[...]`.
        inputs: as for `count`; `resolution` resizes the images among them.
        dtype: element type for byte counts; by default that of `profile`, or else float32 or a traced module's own.
        bits: bits of a stored parameter, for `params_bytes`; by default those of `dtype`.
        source: the prefix of the sources of published figures, or several prefixes in order of preference.
            If several sources publish a variant, the one with an accuracy for the most variants of the network
            is used: the figures of a variant do not depend on the grid.
        accuracy: your own accuracy, in a CSV file, a frame or a folder of runs, instead of the published one.
            Columns are options or `model`, a reference, and `top1`, in per cent, or other metrics.
            An option that a row leaves out has its default or, if the row names no model, the single value that
            you give.
        published: show published accuracy where `accuracy` has none.
        skip_invalid: leave out variants that make no network, unless all variants fail.
        convention: count macs as another counter does, such as `thop`. Most conventions need a trace of each variant.
        profile: the speed of a machine, or the file that `mbanalyze calibrate` wrote: predicts the time of each
            variant, in the columns `predicted_ms`, `low_ms` and `high_ms`.
        train: a data set, as for the function `train`, or a `TrainingPlan`: trains every variant, and shows the test
            accuracy as `top1`. With several seeds it is the mean, with the standard deviation `top1_spread`.
            `rho` is then a fraction of the usual size of the data's images. Nothing else may give the inputs.
        executor: runs the traces or the training, for example on several machines.
        workers: number of processes that run the traces of a pattern, of a convention, or of a factory that is given
            by reference, or the training. By default one per processor for a pattern, and else this process.
        time_limit: for a pattern, the seconds after which the process of a model is ended.
        resume: for a pattern, a CSV file. Each row is written to it at once, and is not counted again by later
            calls. Only failed counts are repeated.
        progress: called with the finished fraction of the traces, from 0 to 1; a `ModelsDone` for a pattern.
        options: the values of each option, in a list, tuple, range or array, or its single value.
            `rho` is the resolution as a fraction of the default one: `resolution=round(rho * default)`.
            A value that is a list or tuple is written inside another list, such as `resolution=[(160, 224)]`.

    Raises:
        GridError: the grid has no variants or too many, or its options contradict each other.
        VariantError: a variant makes no network, or its trace fails.
        ProfileError: the file `profile` cannot be read.
        PredictionError: the options contradict the profile.
        UnmeasuredError: the profile has no time for the kind of an operator.
        AccuracyError: the accuracy cannot be read, is malformed or contradicts itself.
        ResumeError, OutputError: the file `resume` is something else, or cannot be written.
        DataError, TrainingError, RunError, RecipeError: as for the function `train`.
        OptionError, SourceError, ParseError, InputError, ChoiceError, ConventionError: as for `count`.

    >>> ablate("mobilenet_v1", alpha=[1, 0.5]).frame()[["alpha", "params", "published_params"]]
       alpha   params published_params
    0    1.0  4231976           4.24 M
    1    0.5  1331592           1.34 M
    """
    if bits is not None and not (is_whole(bits) and 1 <= bits <= 64):
        raise GridError(f"bits must be a whole number from 1 to 64, not {bits!r}")
    other_convention = None if convention is None else find_convention(convention)
    known_profile = None if profile is None else given_profile(profile)
    what = os.fspath(what) if isinstance(what, os.PathLike) else what
    what, spelled = split_given(what, options) if isinstance(what, str) else (what, {})
    grid = parse_grid({option: [value] for option, value in spelled.items()} | options)
    if known_profile:
        require_forward(grid)
    progress = progress or (lambda _: None)
    run = Run(workers, executor, time_limit, None if resume is None else Path(resume), progress)
    settings: dict[str, Any] = {
        "dtype": dtype_with(known_profile, dtype),
        "bits": bits,
        "convention": convention,
        "profile": known_profile,
    }
    figures: dict[str, Any] = {"source": source, "published": published}
    if train is not None:
        from mbanalyze.sweep.trained_variants import ablate_trained

        if inputs or accuracy is not None:
            raise GridError(f"train gives the {'input' if inputs else 'accuracy'}: leave yours out")
        run.refuse(what, factory=True)
        again = partial(ablate, skip_invalid=skip_invalid, source=source, **settings)
        return ablate_trained(what, grid, train, again, run)
    if isinstance(what, str) and is_pattern(what):
        one = partial(
            ablate,
            skip_invalid=skip_invalid,
            executor=executor,
            workers=workers,
            **settings,
            **figures,
            **options,
            **spelled,
        )
        ablation = (
            _models(what, inputs, grid, settings, figures, run, accuracy, skip_invalid=skip_invalid)
            if ":" in what
            else _architectures(what, inputs, run, accuracy, one, other_convention)
        )
        ablation = replace(ablation, model=what)
    else:
        ablation = _one(what, inputs, grid, settings, figures, run, accuracy, skip_invalid=skip_invalid)
        if bits is not None:
            ablation = ablation.with_column("params_bytes", -(-ablation.rows["params"] * bits // 8))
    ablation = replace(ablation, profile=known_profile)
    return ablation.under(other_convention) if other_convention else ablation


def _one(
    what: Any,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    figures: Mapping[str, Any],
    run: Run,
    accuracy: Accuracy | None,
    *,
    skip_invalid: bool,
) -> Ablation:
    """The variants of one network; arguments as for `_models`."""
    known = known_architecture(what, grid)
    other_convention = None if settings["convention"] is None else find_convention(settings["convention"])
    run.refuse(what, factory=isinstance(what, str) if known is None else _traces(other_convention))
    if figures["published"] and accuracy is None:
        raise GridError("published keeps published accuracy beside your own: give accuracy too")
    trace = partial(traced.trace_variants, executor=run.executor, workers=run.workers, progress=run.progress)
    if known is None:
        _refuse_figures(**figures)
        given = {name: settings[name] for name in ("dtype", "convention") if settings[name]}
        trace = partial(trace, profile=settings["profile"])
        own = None if accuracy is None else read_accuracy(accuracy, grid, [factory_name(what)])
        return ablate_factory(what, inputs, grid, given, partial(trace, skip_invalid=skip_invalid), own)
    if inputs:
        raise GridError(shape_refused(known[0], inputs))
    own = None if accuracy is None else read_accuracy(accuracy)
    source = figures["source"]
    shown = ShownFigures([source] if isinstance(source, str) else list(source), own, figures["published"])
    traced_counts = partial(trace, skip_invalid=False)
    counts = Counts(settings["dtype"] or "float32", other_convention, traced_counts, settings["profile"])
    return ablate_known(known, grid, counts, shown, skip_invalid=skip_invalid)


def _traces(other_convention: Convention | None) -> bool:
    """True if the macs of a known architecture need a trace of each variant."""
    return other_convention is not None and other_convention.needs_trace


def _refuse_figures(source: object, published: bool) -> None:
    """Raise `GridError` if published figures are asked for, which traced models do not have."""
    if source or published:
        name = "source" if source else "published"
        raise GridError(f"{name} selects published figures, which only known architectures have")


def _models(
    pattern: str,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    figures: Mapping[str, Any],
    run: Run,
    accuracy: Accuracy | None,
    *,
    skip_invalid: bool,
) -> Ablation:
    """The models of a package that match a pattern."""
    _refuse_figures(**figures)
    own = None if accuracy is None else read_accuracy(accuracy, grid)
    counts, use = count_models(pattern, inputs, grid, settings, run, own)
    return Ablation(counts[counts["input"].notna() | (not skip_invalid)].reset_index(drop=True), (), use)


def _architectures(
    pattern: str,
    inputs: tuple[Any, ...],
    run: Run,
    accuracy: Accuracy | None,
    count_one: Callable[..., Ablation],
    other_convention: Convention | None,
) -> Ablation:
    """The ablations of all architectures that match a pattern, as one."""
    run.refuse(pattern, factory=_traces(other_convention))
    own = None if accuracy is None else read_accuracy(accuracy)
    if own:
        own.require_models(f"{pattern} stands for several")
    found: list[Ablation] = []

    def frame_of(name: str) -> pd.DataFrame:
        """Return the frame of one architecture."""
        found.append(count_one(name, *inputs, accuracy=own))
        return found[-1].variants

    frame = count_architectures(pattern, frame_of)
    uses = [each.own for each in found if each.own]
    use = replace(uses[0], matched=frozenset().union(*(each.matched for each in uses))) if uses else None
    shown = tuple(accuracy for each in found for accuracy in each.shown)
    return Ablation(frame, shown, use, any(each.selected for each in found))
