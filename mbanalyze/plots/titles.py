"""Titles of plots: the model with its input, or a search with its limits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pandas as pd

from mbanalyze.archs import ARCHS
from mbanalyze.comparison.comparison import Comparison
from mbanalyze.conventions.convention import Convention
from mbanalyze.crosscheck.explained_totals import ExplainedTotals
from mbanalyze.display.records import one_line, shape
from mbanalyze.display.units import si
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.typed import Sizes
from mbanalyze.memory_access.analysis import Guidelines
from mbanalyze.plots.frames import Data, side
from mbanalyze.plots.variant_options import SIZES, option_columns, spelled
from mbanalyze.report.convention_rows import counted_as
from mbanalyze.report.network import Report
from mbanalyze.spaces.space_result import SpaceSearch
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.objectives import UNITS, limit_title
from mbanalyze.timing.prediction import Prediction

UNTITLED = ("model", "options", "batch", *SIZES)
"""Columns before the counts that a title does not repeat: its input shows batch and resolution."""


def title_of(data: Data, title: str | None = None) -> str:
    """Return `title`, or the title of a result; "" for a frame.

    A report has its model and input, and so has an ablation with the options that all variants share.
    A fused report says so. A search has its family and limits, and a comparison its first model and its input.
    Another counter whose convention the macs follow is named.
    """
    return one_line(_title(data)) if title is None else title


def _title(data: Data) -> str:
    if isinstance(data, Report):
        return ", ".join(
            filter(
                None, [_reference(data), shapes(data.input), _fused(data), _counted(data.other_convention)]
            )
        )
    if isinstance(data, Guidelines | ExplainedTotals | Prediction):
        return _title(data.report)
    if isinstance(data, Ablation):
        parts = [data.model, *_shared(data.variants), *_inputs(data), _counted(data.other_convention)]
        return ", ".join(filter(None, parts))
    if isinstance(data, Search | SpaceSearch):
        return _search_title(data)
    if isinstance(data, Comparison):
        first, *others = [shapes(report.input) for report in data.reports]
        fusion, *more = map(_fused, data.reports)
        shared = [first] * ({first} == {*others}) + [fusion] * ({fusion} == {*more})
        shared.append(_counted(data.other_convention))
        return ", ".join(filter(None, [f"relative to {data.labels[0]}", *shared]))
    return ""


def _fused(report: Report) -> str:
    return "fused" if report.is_fused else ""


def _counted(convention: Convention | None) -> str:
    return counted_as(convention) if convention else ""


def _reference(report: Report) -> str:
    """The model with the options that differ from their defaults, except the resolution, which the input shows."""
    if report.model not in ARCHS:
        return report.reference
    usual = {field.name: field.default for field in fields(ARCHS[report.model])}
    hidden = {"resolution", "in_channels"}
    options = {o: value for o, value in report.options.items() if o not in hidden and value != usual.get(o)}
    return spell_reference(report.model, options)


def spaced(reference: str) -> str:
    """Return a reference with spaces where a title may be broken: 'net@a=1,b=2' -> 'net, a=1, b=2'."""
    return re.sub("[@,]", ", ", reference)


def shapes(sizes: Iterable[Sizes]) -> str:
    """Return shapes as text: '1x3x224x224'."""
    return " ".join(map(shape, sizes))


def limit_texts(search: Search | SpaceSearch) -> list[str]:
    """Return each limit of a search as text: '60 M params'."""
    return [
        f"{short(limit, UNITS.get(total, ''))} {limit_title(total, search.dtype)}"
        for total, limit in search.limits.items()
    ]


def _within(limits: list[str]) -> str:
    return f" within {' and '.join(limits)}" if limits else ""


def short(count: float, unit: str = "") -> str:
    """Return a count to four digits with an SI prefix and a unit, without final zeros: 2500000 -> '2.5 M'.

    A time, which is a float, has no prefix.
    """
    digits, _, prefix = (f"{count:g}" if isinstance(count, float) else si(count)).partition(" ")
    return f"{float(digits):g} {prefix}{unit}".strip()


def _search_title(search: Search | SpaceSearch) -> str:
    if isinstance(search, SpaceSearch):
        return f"{search.space.name}, {len(search.tried):,} networks{_within(limit_texts(search))}"
    family = "all networks" if search.family == "all" else search.family
    within = _within(limit_texts(search))
    batch = next(iter(search.considered.get("batch", ())), 1)
    batches = f"batch {batch}" if batch != 1 else ""
    return ", ".join(filter(None, [f"{family}{within}", batches, _counted(search.other_convention)]))


def _shared(rows: pd.DataFrame) -> list[str]:
    """The options with one value in all variants: `alpha=0.5`; an alpha of 1 goes without saying."""
    names = [name for name in option_columns(rows) if name not in UNTITLED or name == "alpha"]
    values = {name: rows[name].iloc[0] for name in names if len(set(map(repr, rows[name]))) == 1}
    return [f"{name}={spelled(value)}" for name, value in values.items() if not _is_usual(name, value)]


def _is_usual(name: str, value: Any) -> bool:
    return (name == "alpha" and value == 1) or name == "in_channels"


def _inputs(ablation: Ablation) -> list[str]:
    """The shape of the input, or those of the smallest and the largest one."""
    if not ablation.input:
        return []
    if "resolution" not in ablation.variants:
        return [shapes(ablation.input)]
    sides = sorted(set(ablation.variants["resolution"]), key=side)
    ends = [shapes(_resized(sizes, end) for sizes in ablation.input) for end in (sides[0], sides[-1])]
    return [" to ".join(dict.fromkeys(ends))]


def _resized(sizes: Sizes, resolution: Any) -> Sizes:
    """The shape of an image at another resolution; any other shape is unchanged."""
    text = spelled(resolution)
    sides = [int(float(each)) for each in text.split("x")] if len(sizes) == 4 else []
    return (*sizes[:2], sides[0], sides[-1]) if sides else sizes
