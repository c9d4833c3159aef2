"""A policy for models that are not guarded yet, with budgets from their first measurement."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from typing import Any

from mbanalyze.display.files import write
from mbanalyze.display.result import Result
from mbanalyze.guard import policy_file
from mbanalyze.guard.counting import MeasuredModel
from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.policy import GuardedModel, Policy, PolicyError
from mbanalyze.guard.policy_file import MissingPolicyError
from mbanalyze.guard.policy_text import NewModel, PolicyText, choose_name, round_up
from mbanalyze.guard.runner import Progress, measure, no_progress
from mbanalyze.inputs.parsing import spell_reference, split_reference, unique
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.model_files.file_formats import MODEL_SUFFIXES, suffix_of
from mbanalyze.sources.definitions import split_factory

NEW_POLICY_SCHEMA = "mbanalyze.new_policy/1"
BUDGETED = ("params", "macs", "memory_access", "peak_bytes")
"""The totals that get a budget."""


@dataclass(frozen=True, slots=True, repr=False)
class NewPolicy(Result):
    """Models that were added to a policy, or that a person has to add.

    Attributes:
        policy: policy with the models.
        models: added models.
        measured: their costs, in the same order.
        text: lines of the policy file.
        written: True if the file has the lines.
    """

    policy: Policy
    models: tuple[NewModel, ...]
    measured: tuple[Measurement, ...]
    text: str
    written: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of schema `NEW_POLICY_SCHEMA`."""
        return {
            "schema": NEW_POLICY_SCHEMA,
            "file": str(self.policy.path),
            "written": self.written,
            "text": self.text,
            "models": [
                {
                    "name": model.name,
                    "source": model.source,
                    "inputs": list(model.inputs),
                    "totals": dict(cost.totals),
                    "budget": dict(model.budget),
                }
                for model, cost in zip(self.models, self.measured, strict=True)
            ],
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each budget, with the name of its model."""
        return [
            {"model": model.name, "metric": metric, "measured": cost.totals[metric], "budget": budget}
            for model, cost in zip(self.models, self.measured, strict=True)
            for metric, budget in model.budget.items()
        ]


def policy_place(start: AnyPath) -> Path:
    """Return the policy file of a folder: by default pyproject.toml if there is one, else mbanalyze.toml.

    Raises:
        PolicyError: a parent folder has a policy, or a file is not valid TOML.
    """
    folder = Path(start).resolve()
    try:
        found = policy_file.find(folder)
    except MissingPolicyError:
        project = folder / "pyproject.toml"
        return project if project.is_file() else folder / "mbanalyze.toml"
    if found.parent != folder:
        raise PolicyError(f"{found} has a policy: run the command in that folder, or give --config FILE")
    return found


def init(
    path: AnyPath,
    references: Sequence[str],
    options: Mapping[str, Any],
    inputs: Sequence[str] = (),
    headroom: Decimal = Decimal(5),
    progress: Progress = no_progress,
) -> NewPolicy:
    """Measure models, and add them with budgets to a policy file.

    The file is not written if its other content would change.

    Args:
        path: policy file, which need not exist.
        references: model references.
        options: options of every model, in addition to those of its reference.
        inputs: inputs of every model as text, as `--input` takes them.
        headroom: per cent by which each budget exceeds the measured total.
        progress: callback for the fraction of the models that are measured.

    Raises:
        PolicyError: the file is no valid policy, it already guards a model, or a model could not be measured.
        ParseError: the options of a reference are malformed, or given twice.
        OutputError: the file cannot be written.
    """
    place = Path(path)
    file = PolicyText.read(place)
    models = _named(references, options, tuple(inputs), file)
    policy = file.policy_with(models) or PolicyText(place).policy_with(models)
    assert policy is not None
    for model in models:
        _require_new(model.name, policy)
    costs = _measurements(measure(policy, [model.name for model in models], progress))
    budgeted = tuple(
        replace(model, budget=_budget(cost, headroom)) for model, cost in zip(models, costs, strict=True)
    )
    final = file.policy_with(budgeted)
    if final is not None:
        write(place, file.content + file.addition(budgeted).encode())
    added = file.addition(budgeted).strip()
    return NewPolicy(final or policy, budgeted, costs, added, final is not None)


def _named(
    references: Sequence[str], options: Mapping[str, Any], inputs: tuple[str, ...], file: PolicyText
) -> list[NewModel]:
    """The models with a name for each that the policy does not have."""
    models: list[NewModel] = []
    for reference in references:
        name, own = split_reference(reference)
        source = spell_reference(_portable(name), unique([*own.items(), *options.items()]))
        taken = {*file.names, *(model.name for model in models)}
        models.append(NewModel(choose_name(source, taken), source, inputs))
    return models


def _portable(name: str) -> str:
    """A reference whose file has forward slashes in its path, which every system reads."""
    place, factory = split_factory(name)
    if sys.platform != "win32" or suffix_of(place) not in (".py", *MODEL_SUFFIXES):
        return name
    return ":".join(filter(None, (PureWindowsPath(place).as_posix(), factory)))


def _require_new(name: str, policy: Policy) -> None:
    """Raise `PolicyError` if the policy guards a model under an earlier name, too."""

    def key(model: GuardedModel) -> tuple[object, ...]:
        return model.source, dict(model.options), model.inputs

    for other in takewhile(lambda other: other != name, policy.models):
        model = policy.models[other]
        if key(model) == key(policy.models[name]):
            raise PolicyError(
                f"{policy.path} already guards {model.source} as {other!r}: edit its budget there"
            )


def _measurements(measured: Sequence[MeasuredModel]) -> tuple[Measurement, ...]:
    failed = [each for each in measured if each.measurement is None]
    if failed:
        raise PolicyError(*(f"could not measure {each.model.source}: {each.reason}" for each in failed))
    return tuple(each.measurement for each in measured if each.measurement is not None)


def _budget(cost: Measurement, headroom: Decimal) -> dict[str, int]:
    """The budget of each total that is known, rounded up unless there is no headroom."""
    totals = {metric: cost.totals[metric] for metric in BUDGETED if cost.totals[metric] is not None}
    return {metric: round_up(total, headroom) for metric, total in totals.items()}
