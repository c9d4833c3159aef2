"""The measurement of the models of a policy: each model of a project's own code in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from mbanalyze.guard.construction import recorded
from mbanalyze.guard.counting import MeasuredModel, enter_project, is_closed_form, measure_here
from mbanalyze.guard.limits import BUDGET_METRICS, LAYER_METRICS
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.measurement_record import (
    head_record,
    layer_record,
    parse_measurement,
    parse_number,
    peak_records,
)
from mbanalyze.guard.policy import GuardedModel, Policy
from mbanalyze.guard.source_location import (
    SourceLocation,
    file_locations,
    in_repository,
    module_locations,
    repository_root,
)
from mbanalyze.inputs.json_values import RecordError, expect, present, value_of
from mbanalyze.sources.processes import Answer, run_each, start_server
from mbanalyze.sources.references import PACKAGES

Progress = Callable[[float], None]
"""A callback for the fraction of the models that are measured, from 0 to 1."""


def no_progress(_: float) -> None:
    """Report no progress."""


def measure(
    policy: Policy,
    names: Collection[str],
    progress: Progress = no_progress,
    *,
    inherit_path: bool = True,
) -> list[MeasuredModel]:
    """Measure the named models; report progress after each.

    Args:
        policy: policy of the project.
        names: names of models.
        progress: callback for the fraction of the models that are measured.
        inherit_path: True if imports look in `sys.path` after the folders of the policy; False if only where
            a new Python looks.
    """
    models = {name: policy.models[name] for name in names}
    own = [model for model in models.values() if not is_closed_form(model)]
    packages = packages_of(policy)
    if own:
        start_server(packages)  # it imports torch while the closed forms are counted
    measured: dict[str, MeasuredModel] = {}
    for name, model in models.items():
        if is_closed_form(model):
            measured[name], _ = measure_here(model)
            progress(len(measured) / len(models))
    known = len(measured)
    jobs = [partial(_measure_in_project, policy, model) for model in own]
    answers = run_each(
        jobs,
        lambda ended: progress((known + ended) / len(models)),
        preload=packages,
        path=sys.path if inherit_path else None,
    )
    measured |= {model.name: _parse(model, answer) for model, answer in zip(own, answers, strict=True)}
    return [measured[name] for name in names]


def packages_of(policy: Policy) -> list[str]:
    """Return the packages that models of a policy come from, without those that the project itself defines."""
    folders = (policy.path.resolve().parent, *policy.python_path)
    named = {model.source.partition(":")[0] for model in policy.models.values()}
    return [
        name
        for name in PACKAGES
        if name in named and not any((f / name).exists() or (f / f"{name}.py").exists() for f in folders)
    ]


def measurements(measured: Iterable[MeasuredModel]) -> dict[str, Measurement]:
    """Return the measurements of the models that could be measured, by name."""
    return {each.model.name: each.measurement for each in measured if each.measurement is not None}


def _measure_in_project(policy: Policy, model: GuardedModel) -> dict[str, Any]:
    """Measure a model, in its own process; the answer is what `_parse` reads."""
    enter_project(policy)
    with recorded(in_repository(repository_root(policy))) as construction:
        measured, resolved = measure_here(model)
    answer: dict[str, Any] = {
        "reason": measured.reason,
        "package": _package_file(model.source),
        "seconds": measured.seconds,
        "measurement": None,
    }
    if measured.measurement is None or resolved is None:
        return answer
    found = file_locations(model, policy) or module_locations(model, resolved.module, policy, construction)
    layers = {layer.path: layer_record(layer, LAYER_METRICS) for layer in measured.measurement.layers}
    return {
        **answer,
        "measurement": {
            **head_record(measured.measurement, BUDGET_METRICS),
            "peaks": peak_records(measured.measurement, BUDGET_METRICS, held=True),
            "layers": layers,
        },
        "locations": {path: [each.file, each.line, each.name] for path, each in found.items()},
    }


def _package_file(source: str) -> str:
    """The file of the package that defines a model; "" if no package does, or it was not imported."""
    package = sys.modules.get(source.partition(":")[0].partition(".")[0])
    return str(getattr(package, "__file__", None) or "")


def _parse(model: GuardedModel, answer: Answer) -> MeasuredModel:
    """The measured model in the answer of its process, which the model's code may have written itself."""
    if answer.problem:
        return MeasuredModel(model, reason=answer.problem)
    try:
        record = expect(dict, answer.value, "the answer")
        reason, package = value_of(record, "reason", str), value_of(record, "package", str)
        given, seconds = present(record, "measurement"), float(parse_number(record, "seconds"))
        if given is None:
            why = reason or "its process gave no reason"
            return MeasuredModel(model, reason=why, package=package, seconds=seconds)
        measurement = parse_measurement(given, BUDGET_METRICS, LAYER_METRICS)
        locations = {
            path: _parse_location(each) for path, each in value_of(record, "locations", dict).items()
        }
    except RecordError as error:
        return MeasuredModel(model, reason=f"its process gave a wrong answer: {error}")
    return MeasuredModel(model, measurement, locations=locations, package=package, seconds=seconds)


def _parse_location(given: object) -> SourceLocation:
    parts = expect(list, given, "a location")
    if list(map(type, parts)) != [str, int, str] or Path(parts[0]).is_absolute() or parts[1] < 1:
        raise RecordError("a location is malformed")
    return SourceLocation(*parts)
