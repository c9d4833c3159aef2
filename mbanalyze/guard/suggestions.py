"""Suggestions: the largest width and the largest resolution with which a model fits its limits."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError
from mbanalyze.guard.runner import MeasuredModel, resolve_model
from mbanalyze.guard.source_location import find_factory
from mbanalyze.inputs.input_text import as_arguments, parse_input
from mbanalyze.report.network import Report
from mbanalyze.report.rows import rows
from mbanalyze.sources.resolve import count
from mbanalyze.sweep.traced import count_arguments, default_resolution

WIDTH_OPTIONS = ("alpha", "width_mult", "width_multiplier", "multiplier", "width")
"""Names by which factories take a width multiplier, or a number of channels that all others follow from."""
WIDTH_STEP = 0.01
"""The step between the width multipliers that are tried."""
RESOLUTION_STEPS = (32, 8)
"""The steps between the resolutions that are tried, in pixels; the second if the first finds nothing."""
MAX_TRIES = 200
"""The largest number of values that are tried for one option."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value of one option with which a model fits all its limits.

    Attributes:
        option: `alpha` or `resolution`, or the name that the factory has for it.
        current: current value.
        value: suggested value.
        totals: totals of the model with that value.
    """

    option: str
    current: float
    value: float
    totals: Mapping[str, Any]


class Candidates(NamedTuple):
    """Smaller values of one option.

    Attributes:
        option: name of the option.
        current: current value.
        reports: smaller values with the report of the model, the largest first; computed on demand.
    """

    option: str
    current: float
    reports: Iterator[tuple[float, Report]]


def suggest(candidates: Candidates, limits: Mapping[str, float]) -> Suggestion | None:
    """Return the first candidate that is within all limits; None if there is none."""
    for value, report in candidates.reports:
        totals = report.totals.as_dict(report.itemsize)
        if all(_fits(totals[metric], limit) for metric, limit in limits.items()):
            return Suggestion(candidates.option, candidates.current, value, totals)
    return None


def _fits(total: float | None, limit: float) -> bool:
    return total is not None and total <= limit


def candidates_of(measured: MeasuredModel) -> Iterator[Candidates]:
    """Yield the options of a model that make it smaller."""
    resolved = measured.resolved
    if resolved is not None and resolved.spec is not None:
        dtype = str(measured.model.settings.get("dtype", "float32"))
        yield from _closed_form_candidates(resolved.spec, resolved.inputs[0][0], dtype)
        return
    width = _width_option(measured)
    if width:
        yield Candidates(*width, _narrower_models(measured, *width))
    with suppress(ValueError, LookupError):
        inputs, keywords = as_arguments(map(parse_input, measured.model.inputs))
        if inputs and not keywords:
            side = default_resolution(measured.model.source, tuple(inputs), {})
            yield Candidates("resolution", side, _smaller_images(measured, tuple(inputs), side))


def _closed_form_candidates(spec: Architecture, batch: int, dtype: str) -> Iterator[Candidates]:
    def reports(option: str, values: Iterable[float]) -> Iterator[tuple[float, Report]]:
        for value in values:
            with suppress(OptionError, ShapeError):
                ops = replace(spec, **{option: value}).ops(batch)
                yield value, Report("", {}, (), "closed-form", rows(ops), dtype)

    options = {each.name: each for each in fields(spec)}
    if "alpha" in options:
        alpha: float = spec.alpha  # type: ignore[attr-defined]
        choices = sorted(options["alpha"].metadata["choices"] or (), reverse=True)
        widths = [choice for choice in choices if choice < alpha] if choices else _smaller_widths(alpha)
        yield Candidates("alpha", alpha, reports("alpha", widths))
    side = spec.resolution
    yield Candidates("resolution", side, reports("resolution", _smaller_sides(side)))


def _width_option(measured: MeasuredModel) -> tuple[str, float] | None:
    """The name and value of the width option of a factory; None if it has none."""
    known = dict(measured.model.options)
    with suppress(TypeError, ValueError):
        declared = inspect.signature(find_factory(measured)).parameters.values()
        known = {each.name: each.default for each in declared} | known
    for name in WIDTH_OPTIONS:
        value = known.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return name, float(value)
    return None


def _narrower_models(measured: MeasuredModel, option: str, current: float) -> Iterator[tuple[float, Report]]:
    """The model with smaller widths; a number of channels stays whole."""
    channels = list(range(int(current) - 1, 0, -1))[:MAX_TRIES]
    for value in channels if option == "width" and current > 1 else _smaller_widths(current):
        with suppress(ValueError, LookupError):
            model = replace(measured.model, options={**measured.model.options, option: value})
            yield value, resolve_model(model).report(**model.settings)


def _smaller_images(
    measured: MeasuredModel, given: tuple[Any, ...], side: int
) -> Iterator[tuple[float, Report]]:
    """The model on smaller images."""
    assert measured.resolved is not None
    for value in _smaller_sides(side):
        with suppress(ValueError, LookupError):
            what, inputs, _ = count_arguments(measured.resolved.module, given, {"resolution": value})
            yield value, count(what, *inputs, **measured.model.settings)


def _smaller_widths(current: float) -> list[float]:
    """Multiples of `WIDTH_STEP` below the current width, the largest first."""
    steps = int(current / WIDTH_STEP + 1e-9)
    widths = [round(i * WIDTH_STEP, 2) for i in range(steps, 0, -1)]
    return [width for width in widths if width < current][:MAX_TRIES]


def _smaller_sides(current: int) -> list[int]:
    """Smaller resolutions: first in large steps, then in small ones."""
    sides = [side for step in RESOLUTION_STEPS for side in range((current - 1) // step * step, 0, -step)]
    return sides[:MAX_TRIES]
