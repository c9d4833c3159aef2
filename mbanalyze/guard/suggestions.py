"""Suggestions: the largest width and the largest resolution with which a model fits its limits."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, NamedTuple

from mbanalyze.archs import find
from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError
from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.guard.counting import enter_project, predicted_time, resolve_model
from mbanalyze.guard.measurement import total_ms
from mbanalyze.guard.measurement_record import parse_counts, parse_number
from mbanalyze.guard.policy import GuardedModel, Policy
from mbanalyze.guard.runner import packages_of
from mbanalyze.guard.source_location import find_factory
from mbanalyze.inputs.input_text import as_arguments, parse_input
from mbanalyze.inputs.json_values import RecordError, expect, value_of
from mbanalyze.report.network import TOTALS, Report
from mbanalyze.report.rows import rows
from mbanalyze.sources.processes import Answer, run_each
from mbanalyze.sources.resolve import count
from mbanalyze.sources.resolved_model import ResolvedModel
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


class Suggestions(NamedTuple):
    """The suggestions for one model.

    Attributes:
        fitting: options that would fit the limits.
        tried: names of the options that were tried.
        problem: reason why options could not be tried; "" if they could.
    """

    fitting: tuple[Suggestion, ...] = ()
    tried: tuple[str, ...] = ()
    problem: str = ""


class SmallerModels(NamedTuple):
    """Smaller values of one option.

    Attributes:
        option: name of the option.
        current: current value.
        reports: smaller values with the report of the model, the largest first; computed on demand.
    """

    option: str
    current: float
    reports: Iterator[tuple[float, Report]]


Limits = Mapping[str, float]
"""The lowest limit of each total that fails."""


def suggest(policy: Policy, limits: Mapping[str, Limits]) -> dict[str, Suggestions]:
    """Return suggestions for models by name; each model of a project's own code runs in its own process."""
    models = {name: policy.models[name] for name in limits}
    own = [name for name, model in models.items() if find(model.source) is None]
    found = {name: _try_options(models[name], limits[name]) for name in models if name not in own}
    jobs = [partial(_try_in_project, policy, models[name], limits[name]) for name in own]
    answers = run_each(jobs, lambda _: None, preload=packages_of(policy), path=sys.path)
    return found | {name: _parse(answer) for name, answer in zip(own, answers, strict=True)}


def _try_in_project(policy: Policy, model: GuardedModel, limits: Limits) -> dict[str, Any]:
    """Try options of a model, in its own process; the answer is what `_parse` reads."""
    enter_project(policy)
    found = _try_options(model, limits)
    return {"fitting": list(map(asdict, found.fitting)), "tried": found.tried}


def _parse(answer: Answer) -> Suggestions:
    """The suggestions in the answer of a process, which the model's code may have written itself."""
    if answer.problem:
        return Suggestions(problem=answer.problem)
    try:
        record = expect(dict, answer.value, "the answer")
        return Suggestions(
            tuple(map(_parse_suggestion, value_of(record, "fitting", list))),
            tuple(expect(str, each, "an option") for each in value_of(record, "tried", list)),
        )
    except RecordError as error:
        return Suggestions(problem=f"its process gave a wrong answer: {error}")


def _parse_suggestion(given: object) -> Suggestion:
    record = expect(dict, given, "a suggestion")
    return Suggestion(
        value_of(record, "option", str),
        parse_number(record, "current"),
        parse_number(record, "value"),
        parse_counts(value_of(record, "totals", dict), (*TOTALS, PREDICTED_MS)),
    )


def _try_options(model: GuardedModel, limits: Limits) -> Suggestions:
    candidates = list(_candidates_of(model))
    fitting = filter(None, (_first_fitting(model, each, limits) for each in candidates))
    return Suggestions(tuple(fitting), tuple(each.option for each in candidates))


def _first_fitting(model: GuardedModel, candidates: SmallerModels, limits: Limits) -> Suggestion | None:
    """The first candidate that is within all limits; None if there is none."""
    for value, report in candidates.reports:
        totals = {**report.total_counts(), PREDICTED_MS: _predicted_ms(model, report)}
        if all(_fits(totals.get(metric), limit) for metric, limit in limits.items()):
            return Suggestion(candidates.option, candidates.current, value, totals)
    return None


def _predicted_ms(model: GuardedModel, report: Report) -> float | None:
    """The predicted time of a report in milliseconds; None if it is not limited, or the profile does not predict it."""
    with suppress(ValueError):
        return total_ms(predicted_time(model, report))
    return None


def _fits(total: float | None, limit: float) -> bool:
    return total is not None and total <= limit


def _candidates_of(model: GuardedModel) -> Iterator[SmallerModels]:
    """The options of a model that make it smaller."""
    resolved = resolve_model(model)
    if resolved.spec is not None:
        dtype = str(model.settings.get("dtype", "float32"))
        yield from _closed_form_candidates(resolved.spec, resolved.inputs[0][0], dtype)
        return
    width = _width_option(model)
    if width:
        yield SmallerModels(*width, _narrower_models(model, *width))
    with suppress(ValueError, LookupError):
        inputs, keywords = as_arguments(map(parse_input, model.inputs))
        if inputs and not keywords:
            side = default_resolution(model.source, tuple(inputs), {})
            if isinstance(side, int):
                yield SmallerModels("resolution", side, _smaller_images(model, resolved, tuple(inputs), side))


def _closed_form_candidates(spec: Architecture, batch: int, dtype: str) -> Iterator[SmallerModels]:
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
        yield SmallerModels("alpha", alpha, reports("alpha", widths))
    if isinstance(side := spec.resolution, int):
        yield SmallerModels("resolution", side, reports("resolution", _smaller_sides(side)))


def _width_option(model: GuardedModel) -> tuple[str, float] | None:
    """The name and value of the width option of a factory; None if it has none."""
    known = dict(model.options)
    with suppress(TypeError, ValueError):
        declared = inspect.signature(find_factory(model)).parameters.values()
        known = {each.name: each.default for each in declared} | known
    for name in WIDTH_OPTIONS:
        value = known.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return name, float(value)
    return None


def _narrower_models(model: GuardedModel, option: str, current: float) -> Iterator[tuple[float, Report]]:
    """The model with smaller widths; a number of channels stays whole."""
    channels = list(range(int(current) - 1, 0, -1))[:MAX_TRIES]
    for value in channels if option == "width" and current > 1 else _smaller_widths(current):
        with suppress(ValueError, LookupError):
            narrower = replace(model, options={**model.options, option: value})
            yield value, resolve_model(narrower).report(**model.settings)


def _smaller_images(
    model: GuardedModel, resolved: ResolvedModel, given: tuple[Any, ...], side: int
) -> Iterator[tuple[float, Report]]:
    """The model on smaller images."""
    for value in _smaller_sides(side):
        with suppress(ValueError, LookupError):
            what, inputs, _ = count_arguments(resolved.module, given, {"resolution": value})
            yield value, count(what, *inputs, **model.settings)


def _smaller_widths(current: float) -> list[float]:
    """Multiples of `WIDTH_STEP` below the current width, the largest first."""
    steps = int(current / WIDTH_STEP + 1e-9)
    widths = [round(i * WIDTH_STEP, 2) for i in range(steps, 0, -1)]
    return [width for width in widths if width < current][:MAX_TRIES]


def _smaller_sides(current: int) -> list[int]:
    """Smaller resolutions: first in large steps, then in small ones."""
    sides = [side for step in RESOLUTION_STEPS for side in range((current - 1) // step * step, 0, -step)]
    return sides[:MAX_TRIES]
