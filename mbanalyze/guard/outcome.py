"""What became of every model of a policy."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mbanalyze.guard.judging import Judged
from mbanalyze.guard.policy import Policy, PolicyError, find


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of every model of a policy.

    Attributes:
        policy: what people decided.
        against: what the models are held against: the lock's name, or a commit.
        models: each with its verdict, in the policy's order, and then those that are gone.
        problem: what is wrong with the lock itself; "" where nothing is.
        remedy: the command that mends that; "" where none does.
        written: whether the lock was written.
        base: the git ref that the models are held against; None where that is the lock.
    """

    policy: Policy
    against: str
    models: tuple[Judged, ...]
    problem: str = ""
    remedy: str = ""
    written: bool = False
    base: str | None = None

    @property
    def exit(self) -> int:
        """0 fine; 1 a model costs too much, or the lock is not that of these models; 2 it could not be found out."""
        return max([2 if self.problem else 0, *(judged.exit for judged in self.models)])

    @property
    def advice(self) -> tuple[str, str]:
        """What to do in words, and the command that does it; "" twice where all is fine."""
        failing = [judged for judged in self.models if judged.exit]
        found = {judged.verdict for judged in failing}
        config = _config(self.policy)
        guard = ["mbanalyze", "guard"]
        update = f"if that is meant: update {self.policy.lock.name}, review and commit it"
        if self.written:
            what = f"{self.policy.lock.name} was written: review and commit it"
            return what, shlex.join(["git", "add", os.path.relpath(self.policy.lock)])
        if self.problem:
            return ("that is mended by", self.remedy) if self.remedy else ("", "")
        if not failing:
            return "", ""
        for verdict, what in (
            ("could not measure", "to see why it cannot be measured"),
            ("over budget", "to see which layers, and what would fit"),
        ):
            if verdict in found or (self.base and verdict == "over budget"):
                since = ["--base", self.base] if self.base else []
                names = _names([j for j in failing if j.verdict == verdict] or failing)
                return what, shlex.join([*guard, "explain", *config, *since, *names])
        whole = len(failing) == len(self.models) or found & {"gone", "not comparable"}
        return update, shlex.join([*guard, "update", *config, *([] if whole else _names(failing))])

    def __repr__(self) -> str:
        from mbanalyze.guard.formats.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from mbanalyze.guard.formats.text import html

        return html(self)


def _names(models: Sequence[Judged]) -> list[str]:
    """The models as arguments of a command; none, which is all, where a name does not fit on its line."""
    names = [judged.name for judged in models]
    if not all(map(str.isprintable, names)):
        return []
    return ["--", *names] if any(name.startswith("-") for name in names) else names


def _config(policy: Policy) -> list[str]:
    """What tells the command line of a policy that it would not find here."""
    with suppress(PolicyError):
        if find(Path.cwd()).samefile(policy.path):
            return []
    return ["--config", os.path.relpath(policy.path)]
