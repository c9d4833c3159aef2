"""Count every variant of a network over a grid of options, with the published figures of each variant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mbanalyze.archs import ARCHS, find, name_of
from mbanalyze.archs.options import MAX_VALUE, Architecture, merge, validate_values
from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides
from mbanalyze.inputs.typed import Sizes, is_whole
from mbanalyze.literature.accuracy.agreement import AccuracySource, Shown, accuracy_sources
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import OwnAccuracy, read_accuracy
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.sources.input_advice import shape_refused
from mbanalyze.sources.patterns import is_pattern
from mbanalyze.sources.references import split_given
from mbanalyze.sweep import traced
from mbanalyze.sweep.closed_form import GridCounts, count_grid
from mbanalyze.sweep.figure_columns import ShownFigures, traced_columns
from mbanalyze.sweep.grid import (
    Grid,
    GridError,
    combinations,
    input_sizes,
    parse_grid,
    spelled,
    value_indices,
)
from mbanalyze.sweep.many_architectures import count_architectures
from mbanalyze.sweep.many_models import count_models
from mbanalyze.sweep.model_jobs import Run
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS, VariantIndex, has_source

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.literature.accuracy.own_table import Accuracy
    from mbanalyze.sources.resolve import Countable


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Result):
    """The variants of a network.

    Attributes:
        variants: one row for each variant; the resolution varies fastest. The columns are the options, the
            totals of a `Report` and, for a known architecture, `PUBLISHED_COLUMNS`. The frame of a factory has
            `complete` instead: False if its macs and flops are lower bounds. The frame of a pattern begins with
            `model` and has `error`, the reason of an incomplete count, or None. For models of a package it also
            has `input` and `counted_with` (versions and settings). The metrics of the user's accuracy are the
            last columns.
        shown: the network, source and value of each `top1`.
        own: the use of the user's accuracy; None without one.
        selected: True if the user selected sources.
        model: the user's name for the network, without options.
        input: the known shapes of the tensors that the first variant takes.
    """

    json_key: ClassVar[str] = "variants"

    variants: pd.DataFrame
    shown: tuple[Shown, ...] = ()
    own: OwnUse | None = None
    selected: bool = False
    model: str = ""
    input: tuple[Sizes, ...] = ()

    def __len__(self) -> int:
        return len(self.variants)

    @cached_property
    def sources(self) -> tuple[AccuracySource, ...]:
        """The sources of `top1`, and how far other sources of the same variants differ."""
        return accuracy_sources(self.shown)

    def as_dict(self) -> dict[str, Any]:
        """Return the variants under the key `variants`, and the sources of their accuracy under `accuracy`."""
        return {
            "variants": self.records(),
            "accuracy": [source.as_dict() for source in self.sources],
            "own": None if self.own is None else self.own.as_dict(),
        }

    def frame(self) -> pd.DataFrame:
        """Return a copy of the variants."""
        return self.variants.copy()

    def records(self) -> list[dict[str, Any]]:
        """Return one dict for each variant; None is unknown."""
        return records.rows_of(self.variants)


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
    executor: Executor | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    resume: str | Path | None = None,
    progress: Callable[[float], None] = lambda _: None,
    **options: Any,
) -> Ablation:
    """Count every variant of a network, or of all models that match a pattern such as `timm:mobilenet*`.

    A pattern of a package is counted with a process for each model: one that fails has an `error` in its row.

    Args:
        what: as for `count`, or the class of an architecture; not a module, which has no options. Or a pattern:
            the name in `timm:NAME` or `torchvision:NAME`, or an architecture, with `*`, `?` or `[...]`.
        inputs: as for `count`; `resolution` resizes the images among them.
        dtype: element type for byte counts; by default float32, or a traced module's own.
        bits: bits of a stored parameter, for `params_bytes`; by default those of `dtype`.
        source: the prefix of the sources of published figures, or several prefixes in order of preference.
            If several sources publish a variant, the one with an accuracy for the most variants of the network
            is used: the figures of a variant do not depend on the grid.
        accuracy: your own accuracy, in a CSV file or a frame, instead of the published one.
            Columns are options or `model`, a reference, and `top1`, in per cent, or other metrics.
            An option that a row leaves out has its default or, if the row names no model, the value that you give, if that is a single one.
        published: show published accuracy where `accuracy` has none.
        skip_invalid: leave out variants that make no network, unless all variants fail.
        executor: runs the traces, for example in several processes; by default they run in this process.
        workers: for a pattern, the number of processes; by default one per processor.
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
        AccuracyError: the accuracy cannot be read, is malformed or contradicts itself.
        ResumeError, OutputError: the file `resume` is something else, or cannot be written.
        OptionError, SourceError, ParseError, InputError, ChoiceError: as for `count`.

    >>> ablate("mobilenet_v1", alpha=[1, 0.5]).frame()[["alpha", "params", "published_params"]]
       alpha   params published_params
    0    1.0  4231976            4.2 M
    1    0.5  1331592            1.3 M
    """
    if bits is not None and not (is_whole(bits) and 1 <= bits <= 64):
        raise GridError(f"bits must be a whole number from 1 to 64, not {bits!r}")
    what, spelled = split_given(what, options) if isinstance(what, str) else (what, {})
    grid = parse_grid({option: [value] for option, value in spelled.items()} | options)
    run = Run(workers, executor, time_limit, None if resume is None else Path(resume), progress)
    settings: dict[str, Any] = {"dtype": dtype, "bits": bits}
    figures: dict[str, Any] = {"source": source, "published": published}
    if isinstance(what, str) and is_pattern(what):
        one = partial(ablate, skip_invalid=skip_invalid, **settings, **figures, **options, **spelled)
        found = (
            _models(what, inputs, grid, settings, figures, run, accuracy, skip_invalid=skip_invalid)
            if ":" in what
            else _architectures(what, inputs, run, accuracy, one)
        )
        return replace(found, model=what)
    run.refuse(what)
    known = _known(what, grid)
    if published and accuracy is None:
        raise GridError("published keeps published accuracy beside your own: give accuracy too")
    if known is None:
        _refuse_figures(**figures)
        trace = partial(
            traced.trace_variants, executor=executor, progress=progress, skip_invalid=skip_invalid
        )
        own = None if accuracy is None else read_accuracy(accuracy, grid, [_name(what)])
        ablation = _traced(what, inputs, grid, {"dtype": dtype} if dtype else {}, trace, own)
        first = {option: values[0] for option, values in grid.items()}
        model, shapes = _name(what), traced.input_sizes(what, inputs, first)
    elif inputs:
        raise GridError(shape_refused(known[0], inputs))
    else:
        prefixes = [source] if isinstance(source, str) else list(source)
        own = None if accuracy is None else read_accuracy(accuracy)
        shown = ShownFigures(prefixes, own, published)
        ablation = _in_closed_form(known, grid, dtype or "float32", shown, skip_invalid=skip_invalid)
        model, shapes = known[0], _input(ablation.variants, known)
    if bits is not None:
        ablation.variants["params_bytes"] = -(-ablation.variants["params"] * bits // 8)
    return replace(ablation, model=model, input=shapes)


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
) -> Ablation:
    """The ablations of all architectures that match a pattern, as one."""
    run.refuse(pattern)
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


_Known = tuple[str, type[Architecture], Mapping[str, Any]]
"""The user's name for an architecture, its class, and the options that an alias or an instance sets."""


def _known(what: Any, grid: Grid) -> _Known | None:
    """The architecture that `what` names, or None for a factory; `OptionError` if an alias contradicts the grid."""
    if found := find(what):
        arch, implied = found
        merge(
            what, implied, {name: values[0] if len(values) == 1 else values for name, values in grid.items()}
        )
        return what, arch, implied
    if name := name_of(what):
        return name, type(what), asdict(what)
    return next(((name, arch, {}) for name, arch in ARCHS.items() if arch is what), None)


def _in_closed_form(
    known: _Known, grid: Grid, dtype: str, figures: ShownFigures, *, skip_invalid: bool
) -> Ablation:
    """The ablation of an architecture."""
    import pandas as pd

    name, arch, fixed = known
    itemsize = ITEM_SIZES[choose("dtype", dtype, ITEM_SIZES)]
    _check_sources(figures.prefixes)
    batch = {"batch": _batch(grid["batch"])} if "batch" in grid else {}
    defaults: dict[str, Any] = {**{field.name: field.default for field in fields(arch)}, **fixed}
    default = defaults.pop("resolution")
    sizes, rhos = input_sizes(grid, lambda: default)
    sizes = validate_values(name, arch, "resolution", sizes or [default], drop=skip_invalid)
    given = {
        option: validate_values(name, arch, option, values, drop=skip_invalid)
        for option, values in grid.items()
        if option not in ("rho", "resolution", "batch")
    }
    networks = {option: given.get(option, [value]) for option, value in defaults.items()}
    counted = count_grid(arch, networks, sizes, **batch)
    if not (skip_invalid and counted.valid.any()):
        _check_valid(name, counted, given)
    valid = np.flatnonzero(counted.valid)
    shown = {option: values for option, values in networks.items() if option in given or option == "alpha"}
    columns = {option: values[valid] for option, values in _option_columns(shown, sizes, rhos).items()}
    totals = counted.cost().as_dict(itemsize)
    frame = pd.DataFrame({**columns, **batch, **totals}, index=valid, copy=False)
    network = next(known_name for known_name, known_arch in ARCHS.items() if known_arch is arch)
    variants = VariantIndex(network, networks, sizes)
    found, use = figures.of(variants, **batch)
    rows = {index: row for index, row in found.items() if counted.valid.flat[index]}
    metrics = [name for name in (use.own.metrics if use else ()) if name not in PUBLISHED_COLUMNS]
    known_figures = pd.DataFrame(list(rows.values()), list(rows), [*PUBLISHED_COLUMNS, *metrics])
    numbers: dict[Any, Any] = dict.fromkeys(["top1", "latency_ms", *metrics], float)
    frame = frame.join(known_figures.astype(numbers)).reset_index(drop=True)
    known_top1 = [(index, row) for index, row in rows.items() if row["top1"] is not None]
    accuracies = tuple((variants.spec(i), row["accuracy_source"], row["top1"]) for i, row in known_top1)
    return Ablation(frame, accuracies, use, any(figures.prefixes))


def _input(frame: pd.DataFrame, known: _Known) -> tuple[Sizes, ...]:
    """The shape of the image that the first variant takes."""
    _, arch, implied = known
    usual: dict[str, Any] = {field.name: field.default for field in fields(arch)}
    first = usual | dict(implied) | dict(frame.iloc[0])
    return (
        (int(first.get("batch", 1)), int(first["in_channels"]), *sides(as_resolution(first["resolution"]))),
    )


def _check_sources(prefixes: Sequence[str]) -> None:
    for prefix in prefixes:
        if not has_source(prefix):
            raise GridError(f"no source starts with {prefix!r}: 'mbanalyze published' lists the sources")


def _check_valid(name: str, counted: GridCounts, given: Grid) -> None:
    """Raise `VariantError` for the first variant that makes no network."""
    for invalid in counted.invalid:
        shown = {o: v for o, v in invalid.options.items() if o in given or o in ("alpha", "resolution")}
        raise traced.VariantError(f"{spell_reference(name, shown)}: {invalid.reason}")


def _batch(values: list[Any]) -> int:
    """The batch of a grid, which has one value."""
    if len(values) > 1 or not is_whole(values[0]) or not 1 <= values[0] <= MAX_VALUE:
        raise GridError(f"batch must be one whole number from 1 to {MAX_VALUE}")
    return int(values[0])


def _option_columns(
    networks: Grid, sizes: Sequence[Resolution], rhos: Sequence[float] | None
) -> dict[str, Any]:
    """The columns of the options: every combination at every resolution."""
    columns = {
        option: np.repeat(np.asarray(values)[at], len(sizes))
        for (option, values), at in zip(networks.items(), value_indices(networks), strict=True)
    }
    count = math.prod(map(len, networks.values()))
    rho = {} if rhos is None else {"rho": np.tile(np.asarray(rhos, dtype=float), count)}
    images = list(map(spelled, sizes))
    kind = object if any(isinstance(image, str) for image in images) else int
    return columns | rho | {"resolution": np.tile(np.array(images, dtype=kind), count)}


def _traced(
    what: Any,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    trace: Callable[[Sequence[traced.CountArguments]], list[dict[str, Any] | None]],
    own: OwnAccuracy | None,
) -> Ablation:
    """The ablation of a factory."""
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
    columns, use = traced_columns(own, _name(what), variants) if own else ([{}] * len(rows), None)
    pairs = zip(rows, columns, counted, strict=True)
    return Ablation(records.frame([row | more for row, more, totals in pairs if totals is not None]), (), use)


def _name(what: Any) -> str:
    """The name of a factory, which a row of the user's accuracy may state."""
    return what if isinstance(what, str) else str(getattr(what, "__name__", ""))
