"""The policy: the guarded models of a project, their budgets and their allowed growth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mbanalyze.guard.limits import Budget, Growth


class PolicyError(ValueError):
    """A policy that is missing or invalid, or that lacks a requested model.

    Attributes:
        problems: one line for each mistake.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of a model, or of some of its layers.

    Attributes:
        budget: budgets by metric.
        growth: allowed growth by metric.
    """

    budget: Mapping[str, Budget]
    growth: Mapping[str, Growth]


@dataclass(frozen=True, slots=True)
class GuardedModel:
    """A model that the policy names.

    Attributes:
        name: name in the policy.
        source: model reference without options, as `mbanalyze report` takes it.
        options: options of the architecture, or arguments of the factory.
        inputs: inputs as text, as `--input` takes them.
        settings: settings of the count: `dtype`, `mode`, `trace`, `real` and `keep`.
        rules: limits of the whole model.
        layers: limits of the layers that match a glob pattern; the first match applies.
        strict: True if an outdated lock fails even though no count grew.
        allow_uncounted: operators that are allowed to have no count.
        line: line of the policy file that defines the model, counted from 1.
        profile: file with the speed of a machine, which budgets of predicted time need.
    """

    name: str
    source: str
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    rules: Rules
    layers: tuple[tuple[str, Rules], ...] = ()
    strict: bool = False
    allow_uncounted: frozenset[str] = frozenset()
    line: int = 1
    profile: Path | None = None

    def limits(self, metric: str) -> bool:
        """Return True if a budget of the model or of its layers limits a metric."""
        rules = (self.rules, *(rules for _, rules in self.layers))
        return any(metric in each.budget and each.budget[metric].level != "off" for each in rules)

    def rules_of(self, path: str) -> Rules:
        """Return the limits of one layer: by default no budget, and the allowed growth of the model."""
        for pattern, rules in self.layers:
            if fnmatchcase(path, pattern):
                return rules
        return Rules({}, self.rules.growth)


@dataclass(frozen=True, slots=True)
class Policy:
    """The guarded models of a project.

    Attributes:
        path: policy file.
        lock: lock file.
        models: guarded models by name.
        python_path: folders that imports search first; by default `src` if it exists.
    """

    path: Path
    lock: Path
    models: Mapping[str, GuardedModel] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()
