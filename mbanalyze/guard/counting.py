"""The count of one model of a policy, in the process that runs the model's code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

from mbanalyze.archs import find
from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.policy import GuardedModel, Policy
from mbanalyze.guard.source_location import SourceLocation
from mbanalyze.inputs.input_text import as_arguments, parse_input
from mbanalyze.profiles.predicted_time import PredictedTime
from mbanalyze.report.network import Report
from mbanalyze.sources.file_models import elements_of
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import resolve
from mbanalyze.sources.resolved_model import ResolvedModel
from mbanalyze.sources.timed_reports import given_profile, time_of_report


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A guarded model with its measurement.

    Attributes:
        model: guarded model.
        measurement: cost of the model; None if it could not be measured.
        reason: the problem if the model could not be measured.
        locations: source line of each layer that the project defines, by path.
        package: file of the package that defines the model; "" if no package does.
        seconds: time to build and count the model.
    """

    model: GuardedModel
    measurement: Measurement | None = None
    reason: str = ""
    locations: Mapping[str, SourceLocation] = field(default_factory=dict)
    package: str = ""
    seconds: float = 0.0


def is_closed_form(model: GuardedModel) -> bool:
    """Return True if a model is counted in closed form, which runs no code of the project."""
    traced = model.settings.get("mode") == "train" or any(map(model.settings.get, ("trace", "real", "keep")))
    return find(model.source) is not None and not traced


def enter_project(policy: Policy) -> None:
    """Continue as if Python had been started in the folder of the policy, with its `python_path`."""
    folder = policy.path.resolve().parent
    sys.path[:0] = map(str, (folder, *policy.python_path))
    os.chdir(folder)


def resolve_model(model: GuardedModel) -> ResolvedModel:
    """Resolve the source, options and inputs of a guarded model."""
    inputs, keywords = as_arguments(map(parse_input, model.inputs))
    return resolve(model.source, *inputs, **model.options, **keywords)


def measure_here(model: GuardedModel) -> tuple[MeasuredModel, ResolvedModel | None]:
    """Measure a model in this process; the resolved model is None if it could not be counted."""
    began = perf_counter()
    measured, resolved = _measure(model)
    return replace(measured, seconds=perf_counter() - began), resolved


def _measure(model: GuardedModel) -> tuple[MeasuredModel, ResolvedModel | None]:
    try:
        resolved = resolve_model(model)
        report = resolved.report(**model.settings)
    except (ValueError, LookupError) as error:
        return MeasuredModel(model, reason=str(error) or summarize(error)), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return MeasuredModel(model, reason=f"unexpected {summarize(error)}"), None
    return measure_report(model, resolved, report), resolved


def measure_report(model: GuardedModel, resolved: ResolvedModel, report: Report) -> MeasuredModel:
    """Return a model with the measurement that its report states, unless operators are not counted."""
    uncounted = _describe_uncounted(report, model.allow_uncounted)
    if uncounted:
        return MeasuredModel(model, reason=uncounted)
    try:
        time = predicted_time(model, report)
    except ValueError as error:
        return MeasuredModel(model, reason=str(error))
    unused = _count_unused_params(report, resolved)
    return MeasuredModel(model, Measurement.from_report(model, report, unused, time))


def predicted_time(model: GuardedModel, report: Report) -> PredictedTime | None:
    """Return the time of a report on the machine of the model's profile; None without a budget that limits it.

    Raises:
        ProfileError: the profile cannot be read.
        PredictionError, UnmeasuredError: it does not predict the report.
    """
    if model.profile is None or not model.limits(PREDICTED_MS):
        return None
    return time_of_report(report, given_profile(model.profile))


def _count_unused_params(report: Report, resolved: ResolvedModel) -> int | None:
    """The number of learned scalars that the forward pass never reads.

    None is unknown: a closed form lists the names of such parameters without their sizes.
    """
    if report.method == "closed-form":
        return None if report.unused_params else 0
    if resolved.graph is not None:
        return elements_of(resolved.graph, report.unused_params)
    from mbanalyze.trace.module_tree import named_modules, named_params

    params = named_params(named_modules(resolved.module))
    return sum(params[name].numel() for name in report.unused_params)


def _describe_uncounted(report: Report, allowed: frozenset[str]) -> str:
    """A message about operators without a count that are not `allowed`; "" if there are none."""
    uncounted = [each for each in report.uncounted if each.operator not in allowed]
    if not uncounted:
        return ""
    found = ", ".join(f"{each.operator} in {each.path or 'the model'}" for each in uncounted)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(each.operator for each in uncounted))
    return f"not counted: {found}; register a formula, or set allow_uncounted = [{names}]"
