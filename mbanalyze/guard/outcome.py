"""The outcome of a guard command: the result of every model of a policy, and the next step."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mbanalyze.display.result import Result
from mbanalyze.guard.changes import Change, Rename
from mbanalyze.guard.command_paths import argument
from mbanalyze.guard.headroom import Headroom, headroom_of
from mbanalyze.guard.limits import GROWTH_METRICS
from mbanalyze.guard.memory_peaks import Peak
from mbanalyze.guard.model_result import ModelResult
from mbanalyze.guard.policy import Policy, PolicyError
from mbanalyze.guard.policy_file import find

OUTCOME_SCHEMA = "mbanalyze.guard/1"
CHANGE_KEYS = (
    "path",
    "kind",
    "metric",
    "before",
    "after",
    "limit",
    "verdict",
    "level",
    "before_at",
    "after_at",
)


class Advice(NamedTuple):
    """The next step for the user, in words and as a command."""

    text: str
    command: str


@dataclass(frozen=True, slots=True, repr=False)
class Outcome(Result):
    """The results of all models of a policy.

    Attributes:
        policy: policy of the project.
        against: name of the base: the lock, or a commit.
        models: results in the order of the policy, then those of models that the policy does not name.
        problem: problem with the lock itself; "" if there is none.
        fix: command that fixes the problem; "" if no command does.
        written: True if the lock was written.
        base: git ref that the models are compared with; None for the lock.
        remark: reason why the lock was not written although the command writes it; "" if there is none.
    """

    policy: Policy
    against: str
    models: tuple[ModelResult, ...]
    problem: str = ""
    fix: str = ""
    written: bool = False
    base: str | None = None
    remark: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of the command.

        0: success. 1: a model costs more than allowed, or the lock lists other models. 2: the cost could not
        be measured or compared.
        """
        return max([2 if self.problem else 0, *(result.exit_code for result in self.models)])

    @property
    def incomplete(self) -> str:
        """A message about totals that the lock lacks, because an earlier version wrote it; "" if it has all."""
        lacking = [set(result.unrecorded) for result in self.models if result.unrecorded]
        if self.written or not lacking:
            return ""
        totals = " and ".join(metric for metric in GROWTH_METRICS if metric in set().union(*lacking))
        models = f"{len(lacking)} model{'s'[: len(lacking) > 1]}"
        command = shlex.join(["mbanalyze", "guard", "update", *config_arguments(self.policy)])
        return f"{self.policy.lock.name} lacks {totals} of {models}: to record them, run '{command}'"

    @property
    def advice(self) -> Advice | None:
        """The next step; None if there is nothing to do, or no command helps."""
        if self.written:
            add = shlex.join(["git", "add", argument(self.policy.lock)])
            return Advice(f"{self.policy.lock.name} was written; review it and add it to a commit", add)
        if self.problem:
            return Advice("to fix it", self.fix) if self.fix else None
        failing = [result for result in self.models if result.exit_code]
        return self._advice_on([result for result in failing if result.verdict != "could not measure"])

    def _advice_on(self, failing: Sequence[ModelResult]) -> Advice | None:
        """The advice on models that could be measured; no command makes the others measurable."""
        verdicts = {result.verdict for result in failing}
        if "over budget" in verdicts or (failing and self.base):
            return self._explain(failing)
        whole = len(failing) == len(self.models) or verdicts & {"gone", "not comparable"}
        unmeasured = any(result.verdict == "could not measure" for result in self.models)
        if not failing or (whole and unmeasured):  # an update of all models would be refused
            return None
        names = [] if whole else _as_arguments(failing)
        return Advice(
            f"if the change is intended: update {self.policy.lock.name}, review and commit it",
            shlex.join(["mbanalyze", "guard", "update", *config_arguments(self.policy), *names]),
        )

    def _explain(self, failing: Sequence[ModelResult]) -> Advice:
        """The advice to explain the models over their budget, or all failing ones if none is."""
        base = ["--base", self.base] if self.base else []
        names = _as_arguments([result for result in failing if result.verdict == "over budget"] or failing)
        command = ["mbanalyze", "guard", "explain", *config_arguments(self.policy), *base, *names]
        return Advice("to see which layers grew, and what would fit", shlex.join(command))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document of schema `OUTCOME_SCHEMA`."""
        return {
            "schema": OUTCOME_SCHEMA,
            "exit": self.exit_code,
            "against": self.against,
            "problem": self.problem or None,
            "incomplete": self.incomplete or None,
            "written": self.written,
            "models": [_model_record(result) for result in self.models],
            "command": self.advice.command if self.advice else None,
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each change, with the name of its model."""
        pairs = ((result, change) for result in self.models for change in result.changes)
        return [{"model": result.name, **change_record(change)} for result, change in pairs]

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return ["model", *CHANGE_KEYS]


def _model_record(result: ModelResult) -> dict[str, Any]:
    measurement = result.measured.measurement if result.measured else None
    return {
        "name": result.name,
        "verdict": result.verdict,
        "exit": result.exit_code,
        "reason": result.reason or None,
        "stale": result.stale,
        "changes": [change_record(change) for change in result.changes],
        "totals": dict(measurement.totals) if measurement else None,
        "accepted": dict(result.before.totals) if result.before else None,
        "unrecorded": list(result.unrecorded),
        "budgets": [_budget_record(each) for each in headroom_of(result)],
    }


def _budget_record(headroom: Headroom) -> dict[str, Any]:
    return {
        "metric": headroom.metric,
        "max": headroom.budget.maximum,
        "level": headroom.budget.level,
        "headroom": headroom.amount,
        "percent": headroom.percent,
    }


def change_record(change: Change) -> dict[str, Any]:
    """Return a change as the schema encodes it: the whole model has kind "total", a rename has metric "path"."""
    layer = ("", "total") if change.layer is None else (change.layer.path, change.layer.kind)
    count: tuple[object, ...]
    peaks: list[Peak | None] = [None, None]
    if isinstance(change, Rename):
        count = ("path", change.before, change.layer.path, None)
    else:
        count = (change.metric, change.before, change.after, change.limit)
        peaks = [change.peak_before, change.peak_after]
    places = [peak.path if peak else None for peak in peaks]
    return dict(zip(CHANGE_KEYS, (*layer, *count, change.verdict, change.level, *places), strict=True))


def _as_arguments(models: Sequence[ModelResult]) -> list[str]:
    """The names of models as arguments of a command; none, which means all, if a name does not fit on a line."""
    names = [result.name for result in models]
    if not all(map(str.isprintable, names)):
        return []
    return ["--", *names] if any(name.startswith("-") for name in names) else names


def config_arguments(policy: Policy) -> list[str]:
    """Return the option that names a policy; empty if the command line finds the policy without it."""
    with suppress(PolicyError):
        if find(Path.cwd()).samefile(policy.path):
            return []
    return ["--config", argument(policy.path)]
