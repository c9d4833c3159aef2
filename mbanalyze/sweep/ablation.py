"""How a network's cost moves with its options: a tidy frame, one row a variant, published figures beside ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields, is_dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import MAX_VALUE, Architecture, OptionError, validate_values
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.inputs.typed import is_shape
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.sweep import closed_form as grids
from mbanalyze.sweep import traced as factories
from mbanalyze.sweep.published_rows import PRINTED, columns_of, printed, sources
from mbanalyze.sweep.traced import VariantError

if TYPE_CHECKING:
    import pandas as pd

    from mbanalyze.sources.resolve import Countable

UNSHOWN = ("kwargs", "mode", "real", "keep", "shortcuts")
"""Options of `count` that say how to trace, and not what."""
MOST = 10**7
"""Variants of a grid at most, which take 200 bytes each."""


class GridError(ValueError):
    """A grid without variants, or whose options contradict each other."""


def ablate(
    what: Countable | type[Architecture],
    /,
    *inputs: Any,
    dtype: str | None = None,
    bits: int | None = None,
    published: str | Sequence[str] = "",
    failed: Literal["raise", "drop"] = "raise",
    executor: Executor | None = None,
    progress: Callable[[float], None] = lambda _: None,
    **options: Any,
) -> pd.DataFrame:
    """What every variant of a network costs.

    Args:
        what: as for `count`, a function that makes a module among it, but not a module that is built.
        inputs: as for `count`; `resolution` resizes the images among them.
        dtype: what an element is taken to be in bytes; by default float32, or a traced module's own.
        bits: of a stored parameter, for `params_bytes`; by default those of `dtype`.
        published: the beginning of the sources to take published figures from, or several, the preferred first.
            Where several sources begin so, those that know most variants of the grid come first.
        failed: what becomes of choices of options that make no network; `drop` leaves them out, unless all fail.
        executor: runs the traces: processes, or whatever has the interface. By default this process does.
        progress: called with the share of the traces that are done.
        options: an option's values in a list, tuple, range or array, or its one value; an option whose value
            is a list has it in another. `rho` is the resolution as a fraction of the network's own, and
            stands for `resolution=round(rho * own)`.

    Returns:
        A frame with a row a variant; the resolution varies fastest. Its columns are the options, the totals
        of a `Report` and, for a known architecture, `printed.PRINTED`; for a traced one `complete`: whether
        its macs and flops are more than lower bounds. What is printed of one image is not of a larger `batch`.

    Raises:
        GridError: no variants, more than `MOST`, or contradicting options.
        VariantError: a variant makes no network, or its trace failed.
        OptionError, SourceError, InputError, ChoiceError: as for `count`.

    >>> ablate("mobilenet_v1", alpha=[1, 0.5])[["alpha", "params", "published_params"]]
       alpha   params published_params
    0    1.0  4231976            4.2 M
    1    0.5  1331592            1.3 M
    """
    if bits is not None and not (is_shape((bits,)) and 1 <= bits <= 64):
        raise GridError(f"bits must be a whole number from 1 to 64, not {bits!r}")
    drop = choose("way with failed variants", failed, {"raise": False, "drop": True}) == "drop"
    axes = {name: axis(name, given) for name, given in options.items()}
    if (variants := math.prod(map(len, axes.values()))) > MOST:
        raise GridError(f"{variants:,} variants are more than {MOST:,}: give fewer values at a time")
    known = _known(what)
    if known is None:
        if published:
            raise GridError("no source prints figures of a factory's networks, only of known architectures")
        settings = {"dtype": dtype} if dtype else {}
        traces = partial(factories.totals, executor=executor, progress=progress, drop=drop)
        frame = _traced(what, inputs, axes, settings, traces)
    elif inputs:
        raise GridError(f"{known.name} takes its input from resolution and batch, not as a shape")
    else:
        beginnings = [published] if isinstance(published, str) else list(published)
        frame = _closed(known, axes, dtype or "float32", beginnings, drop=drop)
    if bits is not None:
        frame["params_bytes"] = -(-frame["params"] * bits // 8)
    return frame


def axis(name: str, given: Any) -> list[Any]:
    """The values of an option.

    Raises:
        GridError: there is none, or one twice.
    """
    values = given.tolist() if hasattr(given, "tolist") else given
    values = list(values) if isinstance(values, list | tuple | range) else [values]
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not values:
        raise GridError(f"{name} has no values")
    keys = _keys(values)
    if len(set(keys)) < len(keys):
        raise GridError(f"{name} has {next(key for i, key in enumerate(keys) if key in keys[:i])} twice")
    return values


def _keys(values: list[Any]) -> list[Any]:
    """What tells values apart: they themselves, or how they are spelled where one is a list or the like."""
    try:
        set(values)
    except TypeError:
        return list(map(repr, values))
    return values


def resolutions(rhos: Sequence[float], own: int) -> list[int]:
    """`round(rho own)` for each rho, halves up.

    >>> resolutions([1, 0.857, 0.714, 0.571], 224)
    [224, 192, 160, 128]

    Raises:
        GridError: a rho is no number above 0, or two make the same resolution.
    """
    found: dict[int, float] = {}
    for rho in rhos:
        if isinstance(rho, bool) or not isinstance(rho, int | float) or not 0 < rho <= MAX_VALUE:
            raise GridError(f"rho must be a number above 0, not {rho!r}")
        size = int((Decimal(str(rho)) * own).quantize(Decimal(1), ROUND_HALF_UP))
        if not size:
            raise GridError(f"rho {rho} of {own} px leaves none")
        if size in found:
            raise GridError(f"rho {found[size]} and {rho} both make {size} px")
        found[size] = rho
    return list(found)


def _sizes(axes: dict[str, list[Any]], own: Callable[[], int]) -> tuple[list[Any] | None, list[Any] | None]:
    """Take the resolutions out of `axes`, and the rhos that they come from."""
    rhos, sizes = axes.pop("rho", None), axes.pop("resolution", None)
    if rhos is not None and sizes is not None:
        raise GridError("rho stands for a resolution: give one of them")
    return (sizes, None) if rhos is None else (resolutions(rhos, own()), rhos)


@dataclass(frozen=True, slots=True)
class _Known:
    """An architecture in closed form, the options that are set, and whether they are part of its name."""

    name: str
    arch: type[Architecture]
    fixed: dict[str, Any]
    locked: bool = False


def _known(what: Any) -> _Known | None:
    if isinstance(what, str) and what in ALIASES:
        name, implied = ALIASES[what]
        return _Known(what, ARCHS[name], dict(implied), locked=True)
    for name, arch in ARCHS.items():
        if what is arch or (isinstance(what, str) and what == name):
            return _Known(name, arch, {})
        if is_dataclass(what) and isinstance(what, arch):
            return _Known(name, arch, asdict(what))
    return None


def _closed(
    known: _Known, axes: dict[str, list[Any]], dtype: str, beginnings: Sequence[str], *, drop: bool
) -> pd.DataFrame:
    """The frame of an architecture: one row a variant of `axes`, which this takes apart."""
    import pandas as pd

    name, arch = known.name, known.arch
    itemsize = ITEM_SIZES[choose("dtype", dtype, ITEM_SIZES)]
    for beginning in beginnings:
        if not any(source.startswith(beginning) for source in sources()):
            raise GridError(f"no source begins with {beginning!r}: 'mbanalyze published' lists them")
    for option in known.fixed.keys() & axes if known.locked else ():
        raise OptionError(f"{name} has {option}={known.fixed[option]}: do not give {option} again")
    batches = {"batch": _batch(axes)} if "batch" in axes else {}
    own: dict[str, Any] = {declared.name: declared.default for declared in fields(arch)} | known.fixed
    side = own.pop("resolution")
    sizes, rhos = _sizes(axes, lambda: side)
    sizes = validate_values(name, arch, "resolution", sizes or [side], drop=drop)
    given = {
        option: validate_values(name, arch, option, values, drop=drop) for option, values in axes.items()
    }
    networks = {option: given.get(option, [value]) for option, value in own.items()}
    counted = grids.totals(arch, networks, sizes, **batches)
    for failure in () if drop and counted.valid.any() else counted.failed:
        named = {o: v for o, v in failure.options.items() if o in given or o in ("alpha", "resolution")}
        raise VariantError(f"{name} with {spell_options(named, ' ')}: {failure.reason}")
    columns = _options({o: v for o, v in networks.items() if o in given or o == "alpha"}, sizes, rhos)
    kept = np.flatnonzero(counted.valid)
    columns = {option: values[kept] for option, values in columns.items()} | batches
    frame = pd.DataFrame({**columns, **counted.cost().as_dict(itemsize)}, index=kept, copy=False)
    rows = {
        row: columns_of(entry, **batches) for row, entry in printed(arch, networks, sizes, beginnings).items()
    }
    beside = pd.DataFrame.from_dict(rows, orient="index", columns=PRINTED)
    return frame.join(beside.astype({"top1": float, "latency_ms": float})).reset_index(drop=True)


def _batch(axes: dict[str, list[Any]]) -> int:
    """Take the batch out of `axes`."""
    batch = axes.pop("batch")
    if len(batch) > 1 or not is_shape(batch) or not 1 <= batch[0] <= MAX_VALUE:
        raise GridError(f"batch must be one whole number from 1 to {MAX_VALUE}")
    return int(batch[0])


def _options(networks: grids.Axes, sizes: Sequence[int], rhos: Sequence[float] | None) -> dict[str, Any]:
    """The columns of options, as every choice of networks meets every resolution."""
    places = grids.places(networks)
    columns = {
        option: np.repeat(np.asarray(values)[at], len(sizes))
        for (option, values), at in zip(networks.items(), places, strict=True)
    }
    times = math.prod(map(len, networks.values()))
    rho = {} if rhos is None else {"rho": np.tile(np.asarray(rhos, dtype=float), times)}
    return columns | rho | {"resolution": np.tile(sizes, times)}


def _traced(
    what: Any,
    inputs: tuple[Any, ...],
    axes: dict[str, list[Any]],
    settings: Mapping[str, Any],
    totals: Callable[[Sequence[factories.Job]], list[dict[str, Any] | None]],
) -> pd.DataFrame:
    """The frame of a factory: one row a variant of `axes`, which this takes apart."""
    import pandas as pd

    first = {option: values[0] for option, values in axes.items() if option not in ("rho", "resolution")}
    sizes, rhos = _sizes(axes, lambda: factories.own_resolution(what, inputs, first))
    axes |= {} if sizes is None else {"resolution": sizes}
    choices = list(grids.variants(axes))
    jobs = [factories.job(what, inputs, {**choice, **settings}) for choice in choices]
    names = dict(zip(sizes or (), rhos or (), strict=False))
    rows = [
        {name: value for name, value in choice.items() if name not in (*UNSHOWN, "resolution")}
        | ({"rho": names[choice["resolution"]]} if rhos else {})
        | ({"resolution": choice["resolution"]} if sizes else {})
        | counts
        for choice, counts in zip(choices, totals(jobs), strict=True)
        if counts is not None
    ]
    frame = pd.DataFrame(rows)
    unknown = [name for name in ("macs", "flops", "activations") if not (frame[name].dropna() >= 2**63).any()]
    return frame.astype(dict.fromkeys(unknown, "Int64"))
