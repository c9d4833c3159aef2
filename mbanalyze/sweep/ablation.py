"""Count every variant of a network over a grid of options, with the published figures of each variant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mbanalyze.archs import ARCHS, find, name_of
from mbanalyze.archs.options import MAX_VALUE, Architecture, merge, validate_values
from mbanalyze.display import records
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.typed import Sizes, is_whole
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.sources.references import split_given
from mbanalyze.sweep import traced
from mbanalyze.sweep.closed_form import GridCounts, count_grid
from mbanalyze.sweep.grid import Grid, GridError, combinations, input_sizes, parse_grid, value_indices
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS, entry_columns, has_source, published_entries

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.sources.resolve import Countable

TRACE_OPTIONS = ("kwargs", "mode", "real", "keep", "shortcuts")
"""Options of `count` that control the trace, and are not columns of a frame."""


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(Result):
    """The variants of a network.

    Attributes:
        variants: one row for each variant; the resolution varies fastest. The columns are the options, the
            totals of a `Report` and, for a known architecture, `PUBLISHED_COLUMNS`. The frame of a factory has
            `complete` instead: False if its macs and flops are lower bounds.
        model: the user's name for the network, without options.
        input: the shapes of the tensors that the first variant takes, as far as they are known.
    """

    json_key: ClassVar[str] = "variants"

    variants: pd.DataFrame
    model: str = ""
    input: tuple[Sizes, ...] = ()

    def __len__(self) -> int:
        return len(self.variants)

    def as_dict(self) -> dict[str, Any]:
        """Return the variants under the key `variants`."""
        return {"variants": self.records()}

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
    skip_invalid: bool = False,
    executor: Executor | None = None,
    progress: Callable[[float], None] = lambda _: None,
    **options: Any,
) -> Ablation:
    """Count every variant of a network.

    Args:
        what: as for `count`, or the class of an architecture; not a module, which has no options.
        inputs: as for `count`; `resolution` resizes the images among them.
        dtype: element type for byte counts; by default float32, or a traced module's own.
        bits: bits of a stored parameter, for `params_bytes`; by default those of `dtype`.
        source: the prefix of the sources of published figures, or several prefixes in order of preference.
            If sources with one prefix publish the same variant, the one that covers the most variants is used.
        skip_invalid: leave out variants that make no network, unless all variants fail.
        executor: runs the traces, for example in several processes; by default they run in this process.
        progress: called with the finished fraction of the traces, from 0 to 1.
        options: the values of each option, in a list, tuple, range or array, or its single value.
            `rho` is the resolution as a fraction of the default one: `resolution=round(rho * default)`.
            A value that is a list is written inside another list.

    Raises:
        GridError: the grid has no variants or too many, or its options contradict each other.
        VariantError: a variant makes no network, or its trace fails.
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
    known = _known(what, grid)
    if known is None:
        if source:
            raise GridError("source selects published figures, which only known architectures have")
        trace = partial(
            traced.trace_variants, executor=executor, progress=progress, skip_invalid=skip_invalid
        )
        frame = _traced(what, inputs, grid, {"dtype": dtype} if dtype else {}, trace)
        model = what if isinstance(what, str) else getattr(what, "__name__", type(what).__name__)
        shapes = traced.input_sizes(what, inputs, {option: values[0] for option, values in grid.items()})
    elif inputs:
        raise GridError(f"{known[0]} takes its input from resolution and batch, not as a shape")
    else:
        prefixes = [source] if isinstance(source, str) else list(source)
        frame = _in_closed_form(known, grid, dtype or "float32", prefixes, skip_invalid=skip_invalid)
        model, shapes = known[0], _input(frame, known[1])
    if bits is not None:
        frame["params_bytes"] = -(-frame["params"] * bits // 8)
    return Ablation(frame, model, shapes)


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
    known: _Known, grid: Grid, dtype: str, prefixes: Sequence[str], *, skip_invalid: bool
) -> pd.DataFrame:
    """The frame of an architecture."""
    import pandas as pd

    name, arch, fixed = known
    itemsize = ITEM_SIZES[choose("dtype", dtype, ITEM_SIZES)]
    _check_sources(prefixes)
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
    entries = published_entries(arch, networks, sizes, prefixes)
    rows = {index: entry_columns(entry, **batch) for index, entry in entries.items()}
    published = pd.DataFrame.from_dict(rows, orient="index", columns=PUBLISHED_COLUMNS)
    return frame.join(published.astype({"top1": float, "latency_ms": float})).reset_index(drop=True)


def _input(frame: pd.DataFrame, arch: type[Architecture]) -> tuple[Sizes, ...]:
    """The shape of the image that the first variant takes."""
    first = frame.iloc[0]
    channels = next((field.default for field in fields(arch) if field.name == "in_channels"), 3)
    side = first["resolution"]
    sides = side.split("x") if isinstance(side, str) else side if isinstance(side, tuple) else (side, side)
    return ((int(first.get("batch", 1)), int(first.get("in_channels", channels)), *map(int, sides)),)


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


def _option_columns(networks: Grid, sizes: Sequence[int], rhos: Sequence[float] | None) -> dict[str, Any]:
    """The columns of the options: every combination at every resolution."""
    columns = {
        option: np.repeat(np.asarray(values)[at], len(sizes))
        for (option, values), at in zip(networks.items(), value_indices(networks), strict=True)
    }
    count = math.prod(map(len, networks.values()))
    rho = {} if rhos is None else {"rho": np.tile(np.asarray(rhos, dtype=float), count)}
    return columns | rho | {"resolution": np.tile(sizes, count)}


def _traced(
    what: Any,
    inputs: tuple[Any, ...],
    grid: Grid,
    settings: Mapping[str, Any],
    trace: Callable[[Sequence[traced.CountArguments]], list[dict[str, Any] | None]],
) -> pd.DataFrame:
    """The frame of a factory."""
    rest = {option: values for option, values in grid.items() if option not in ("rho", "resolution")}
    first = {option: values[0] for option, values in rest.items()}
    sizes, rhos = input_sizes(grid, lambda: traced.default_resolution(what, inputs, first))
    variants = list(combinations(rest | ({"resolution": sizes} if sizes else {})))
    counted = trace([traced.count_arguments(what, inputs, {**variant, **settings}) for variant in variants])
    rho_of = dict(zip(sizes or (), rhos or (), strict=False))
    rows = [
        {name: value for name, value in variant.items() if name not in (*TRACE_OPTIONS, "resolution")}
        | ({"rho": rho_of[variant["resolution"]]} if rhos else {})
        | ({"resolution": variant["resolution"]} if sizes else {})
        | totals
        for variant, totals in zip(variants, counted, strict=True)
        if totals is not None
    ]
    return records.frame(rows)
