"""List the variants that a search considers: all published ones, with the option values that the user gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mbanalyze.archs import ALIASES, ARCHS
from mbanalyze.archs.options import OptionError, validate_values
from mbanalyze.conventions.convention_names import find_convention
from mbanalyze.display.records import rows_of
from mbanalyze.inputs.choices import meant, nearest, nearest_are
from mbanalyze.inputs.parsing import spell_options, spell_reference
from mbanalyze.literature.accuracy.matching import OwnUse, specs
from mbanalyze.literature.accuracy.own_table import OwnAccuracy
from mbanalyze.literature.figures import entries, families
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of
from mbanalyze.profiles.predicted_time import UnmeasuredError
from mbanalyze.report.network import TOTALS
from mbanalyze.sources.patterns import is_pattern, matching_models
from mbanalyze.sources.processes import cpus
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.convention_macs import traced_macs
from mbanalyze.sweep.grid import input_sizes, option_values
from mbanalyze.sweep.many_models import uncounted
from mbanalyze.sweep.model_jobs import Run
from mbanalyze.sweep.objectives import LIMITS, limit_name
from mbanalyze.sweep.plain_columns import Columns, Rows
from mbanalyze.sweep.predicted_columns import TIME_COLUMNS
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS
from mbanalyze.sweep.traced import VariantError, trace_variants

if TYPE_CHECKING:
    from mbanalyze.conventions.convention import Convention
    from mbanalyze.profiles.time_profile import Profile

SIZE_OPTIONS = ("alpha", "resolution")
"""Options with a column each; the column `options` spells all others."""

WORTH_PROCESSES = 40
"""From this number of traces on, starting processes is faster than tracing in this one."""


class SearchError(ValueError):
    """An unknown family, an invalid limit, or a search without variants."""


class Candidates(NamedTuple):
    """The variants that a search considers.

    Attributes:
        rows: one row for each variant.
        own: the use of the user's accuracy; None without one.
        uncounted: the references of models that are not counted completely or have no predicted time, and the
            reasons.
    """

    rows: Rows
    own: OwnUse | None
    uncounted: tuple[tuple[str, str], ...] = ()


def candidates(
    family: str,
    options: Mapping[str, Any],
    *,
    dtype: str,
    batch: int,
    own: OwnAccuracy | None = None,
    published: bool = False,
    convention: str | None = None,
    profile: Profile | None = None,
    **run: Any,
) -> Candidates:
    """Return one row for each distinct variant, with the columns of `ablate`, and the use of the user's accuracy.

    The columns `model`, `alpha`, `resolution` and `options` replace the columns of the options.
    The variants of the user's table are among them.

    Args:
        family: an architecture, a family, `all`, or a pattern.
        options: values of options, as for `ablate`; an architecture ignores those that it does not have.
        dtype: element type for byte counts.
        batch: images in the input.
        own: the user's accuracy.
        published: keep published accuracy where the user's table has none.
        convention: the convention of the macs, as for `ablate`.
        profile: the machine whose time is predicted; None for no time.
        run: `workers`, `time_limit`, `resume` and `progress`, as for `ablate`; None if not given.

    Raises:
        AccuracyError: the user's accuracy is invalid, contradicts itself, or names no model where there are several.
        SearchError: the family is unknown or has no variant with these options.
        OptionError: no architecture of the family has an option.
        GridError, SourceError, ResumeError, OutputError: as for `ablate`.
    """
    given = {name: value for name, value in run.items() if value is not None}
    if ":" in family and is_pattern(family):
        given |= ({"dtype": dtype} if dtype != "float32" else {}) | ({"batch": batch} if batch != 1 else {})
        given |= {"accuracy": own, "published": published, "convention": convention}
        given |= {"profile": profile}
        return _models(family, ablate(family, **given, **options))
    traced = _traced_convention(convention)
    settings = Run(**given)
    settings.refuse(family, factory=traced is not None)
    names = _architectures(family)
    _check_options(family, names, options)
    if own and len(names) > 1:
        own.require_models(f"{family} has several")
    arguments: dict[str, Any] = {"dtype": dtype, "published": published, "profile": profile}
    arguments |= {"convention": None if traced else convention}
    arguments |= {"batch": batch} if batch != 1 else {}
    parts, matched, unmeasured = list[Columns](), set[str](), dict[str, str]()
    grids = [(name, grid) for name in names for grid in _grids(name, options, own)]
    for done, (name, grid) in enumerate(grids):
        if not traced:
            settings.progress(done / len(grids))
        if own:  # published options make grids of one value too, and these are not the user's
            arguments["accuracy"] = own.about(name, _single_values(name, options))
        try:
            ablation = ablate(name, skip_invalid=True, **grid, **arguments)
        except VariantError:  # no combination makes a network
            continue
        except UnmeasuredError as error:
            unmeasured[_spelled(name, grid)] = str(error)
        else:
            parts.append(_columns(name, grid, ablation.under(traced) if traced else ablation))
            matched |= ablation.own.matched if ablation.own else set()
    if not parts:
        raise SearchError(_nothing(family, options, unmeasured))
    same = ["model", *SIZE_OPTIONS, "params", "macs", "flops", "reads", "writes"]
    rows = Rows.distinct(parts, same)
    rows = _traced(rows, traced, batch, settings) if traced else rows
    use = OwnUse(own, frozenset(matched), published) if own else None
    return Candidates(rows, use, tuple(unmeasured.items()))


def _spelled(name: str, grid: Mapping[str, Any]) -> str:
    """The reference of a grid: the architecture with its options of one value, except alpha and resolution."""
    values = {o: option_values(o, given) for o, given in grid.items() if o not in (*SIZE_OPTIONS, "rho")}
    return spell_reference(name, {option: some[0] for option, some in values.items() if len(some) == 1})


def _nothing(family: str, options: Mapping[str, Any], unmeasured: Mapping[str, str]) -> str:
    """The reason that a search has no variants: the first network without times, or else the options."""
    invalid = f"no variant of {family} has the given values of {', '.join(options)}"
    return next((f"{name}: {reason}" for name, reason in unmeasured.items()), invalid)


def _traced_convention(name: str | None) -> Convention | None:
    """The convention with a name if it needs a trace of each variant, else None."""
    convention = None if name is None else find_convention(name)
    return convention if convention and convention.needs_trace else None


def _traced(rows: Rows, convention: Convention, batch: int, run: Run) -> Rows:
    """The rows with the macs of a convention that needs traces; the same processes trace the variants of all grids."""
    references = list(map(variant_reference, rows_of(rows.columns)))
    workers = run.workers or (cpus() if len(references) >= WORTH_PROCESSES else None)
    trace = partial(trace_variants, executor=None, workers=workers, progress=run.progress, skip_invalid=False)
    macs = traced_macs(references, {"batch": batch} if batch != 1 else {}, convention, trace)
    return rows.with_columns(macs=macs)


def _models(pattern: str, ablation: Ablation) -> Candidates:
    """The candidates among the models of a package: those that are counted completely."""
    import pandas as pd

    failed = tuple(uncounted(ablation.rows))
    rows = [row for row in ablation.records() if row["error"] is None]
    if not rows:
        raise SearchError(f"no model of {pattern} is counted: {': '.join(failed[0])}")
    names = list(rows[0])
    axes, metrics = names[1 : names.index("input")], names[names.index("counted_with") + 1 :]
    others = [name for name in axes if name not in (*SIZE_OPTIONS, "batch")]
    sizes = [*SIZE_OPTIONS, *(["batch"] if "batch" in axes else [])]
    found = [
        {name: row.get(name) for name in ("model", *sizes)}
        | {"options": spell_options({name: row[name] for name in others}, " ")}
        | {name: row[name] for name in (*TOTALS, "convention", *TIME_COLUMNS) if name in row}
        | dict.fromkeys(PUBLISHED_COLUMNS)
        | {name: row[name] for name in metrics}
        for row in rows
    ]
    timed = [name for name in TIME_COLUMNS if name in rows[0]]
    numbers = [name for name in ("top1", "latency_ms", *timed, *metrics) if name != "accuracy_source"]
    frame = pd.DataFrame(found).astype(dict.fromkeys(numbers, float))
    columns: dict[str, Any] = {str(name): column for name, column in frame.items()}
    return Candidates(Rows([columns], np.arange(len(frame))), ablation.own, failed)


def _architectures(family: str) -> list[str]:
    """The architectures of a family."""
    if is_pattern(family):
        return matching_models(family)
    known = {"all": list(ARCHS)} | families() | {name: [name] for name in ARCHS}
    if suffix_of(family) in MODEL_SUFFIXES:
        raise SearchError(
            f"search compares variants of known families, and {family} is a file: use mbanalyze ablate"
        )
    if family not in known:
        near = nearest_are(nearest(family, known))
        hint = f"{near}; " if near else ""
        raise SearchError(f"no family {family!r}: {hint}families are all, {', '.join(families())}")
    return known[family]


def _check_options(family: str, names: Sequence[str], options: Mapping[str, Any]) -> None:
    known = sorted({"rho", *(declared.name for name in names for declared in fields(ARCHS[name]))})
    for option in options:
        if option not in known:
            limits = list(map(limit_name, LIMITS)) if option.startswith("max") else []
            hint = meant(option, [*known, *limits])
            also = f"; the limits are {', '.join(limits)}" if limits else ""
            raise OptionError(
                f"{family} has no option {option!r}: {hint}its options are {', '.join(known)}{also}"
            )


def _grids(name: str, options: Mapping[str, Any], own: OwnAccuracy | None) -> Iterator[dict[str, Any]]:
    """The distinct grids of an architecture: the known options, overridden by the given ones."""
    arch = ARCHS[name]
    declared = {field.name: field for field in fields(arch)}
    given = {o: option_values(o, values) for o, values in options.items() if o in (*declared, "rho")}
    if "alpha" in given and (choices := declared["alpha"].metadata["choices"]):
        given["alpha"] = [alpha for alpha in given["alpha"] if alpha in choices]
        if not given["alpha"]:
            return
    for option in given.keys() - {"rho"}:
        validate_values(name, arch, option, given[option])
    replaced = {"resolution"} if "rho" in given else set()
    grids: list[dict[str, Any]] = []
    for known in _known_grids(name, own):
        grid = {option: values for option, values in known.items() if option not in replaced} | given
        if grid not in grids:
            grids.append(grid)
            yield grid


def _single_values(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an architecture to which the user gives one value, with the resolution that a rho makes."""
    declared: dict[str, Any] = {field.name: field.default for field in fields(ARCHS[name])}
    grid = {option: option_values(option, values) for option, values in options.items()}
    sizes, _ = input_sizes(grid, lambda: declared["resolution"])
    values = {**grid, "resolution": sizes or []}
    return {option: values[option][0] for option in declared if len(values.get(option, [])) == 1}


def _known_grids(name: str, own: OwnAccuracy | None) -> list[dict[str, Any]]:
    """The combinations of other options that are published or the user's, each with its alphas and resolutions."""
    default = {field.name: field.default for field in fields(ARCHS[name])}
    rows = [dict(entry.options) for entry in entries() if entry.variant == name and not entry.undefined]
    rows = [row for row in rows if "num_classes" not in row]  # networks for other tasks
    for measured, network in specs(own, name, {}) if own else ():
        rows.append({option: getattr(network, option) for option in measured.options if option != "batch"})
    aliases = [implied for arch, implied in ALIASES.values() if arch == name]
    grids: dict[str, dict[str, Any]] = {}
    for row in [{}, *aliases, *rows]:
        others = {option: value for option, value in row.items() if option not in SIZE_OPTIONS}
        grid = grids.setdefault(spell_options(others), others)
        for option in SIZE_OPTIONS:
            value = row.get(option, default.get(option))
            if option in default and value not in grid.setdefault(option, []):
                grid[option].append(value)
    return list(grids.values())


def _columns(name: str, grid: Mapping[str, Any], ablation: Ablation) -> Columns:
    """The variants of a grid, with the columns that all architectures share."""
    rows: dict[str, Any] = {str(option): column for option, column in ablation.rows.items()}
    count = len(ablation)
    others = {option: rows.pop(option).tolist() for option in grid if option not in (*SIZE_OPTIONS, "rho")}
    spelled = [
        spell_options(dict(zip(others, row, strict=True)), " ") for row in zip(*others.values(), strict=True)
    ]
    sizes = list(rows)[: list(rows).index("params")]
    return {
        "model": np.full(count, name, object),
        "alpha": np.full(count, np.nan),
        **{size: rows.pop(size) for size in sizes},
        "options": np.array(spelled or [""] * count, object),
        **rows,
    }


def variant_reference(row: Mapping[str, Any]) -> str:
    """Return a variant as the reference that every command takes."""
    sizes = {name: row[name] for name in SIZE_OPTIONS if row[name] is not None}
    return ",".join([spell_reference(row["model"], sizes), *row["options"].split()])
