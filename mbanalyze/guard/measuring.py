"""What the models of a policy cost: each is made and counted on its own, so that one that fails hides no other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mbanalyze import sources
from mbanalyze.guard.facts import Facts, facts
from mbanalyze.guard.policy import Model, Policy
from mbanalyze.parsing import Typed, parse_input
from mbanalyze.references import said
from mbanalyze.report import Report
from mbanalyze.sources import Subject


@dataclass(frozen=True, slots=True)
class Measured:
    """A model as it is.

    Attributes:
        model: what the policy says of it.
        facts: what it costs; None where that could not be found.
        reason: why not.
        subject: what was counted, to look at its modules.
    """

    model: Model
    facts: Facts | None = None
    reason: str = ""
    subject: Subject | None = None


def measure(
    policy: Policy, names: Iterable[str], progress: Callable[[], None] = lambda: None
) -> list[Measured]:
    """Each of these models, as if one had started beside the policy; `progress` is called after each."""
    measured = []
    with beside(policy):
        for name in names:
            measured.append(_measured(policy.models[name]))
            progress()
    return measured


@contextlib.contextmanager
def beside(policy: Policy) -> Iterator[None]:
    """Inside the `with`, files and imports are looked for in the policy's folder, and in those that it names."""
    folder = policy.path.resolve().parent
    before = list(sys.path)
    sys.path[:0] = [str(folder), *map(str, policy.python_path)]
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path[:] = before


def _measured(model: Model) -> Measured:
    try:
        subject = subject_of(model)
        report = subject.report(**model.settings)
    except (ValueError, LookupError) as error:
        return Measured(model, reason=str(error))
    except Exception as error:
        return Measured(model, reason=f"unexpected {said(error)}")
    uncounted = uncounted_in(report, model.allow_uncounted)
    if uncounted:
        return Measured(model, reason=uncounted, subject=subject)
    return Measured(model, facts(model, report), subject=subject)


def uncounted_in(report: Report, allowed: frozenset[str]) -> str:
    """What nobody could count, but for the operators that are `allowed`; "" where there is nothing."""
    found = [
        f"{each.operator} in {each.path or 'the model'}"
        for each in report.uncounted
        if each.operator not in allowed
    ]
    names = dict.fromkeys(each.operator for each in report.uncounted if each.operator not in allowed)
    allow = ", ".join(f'"{name}"' for name in names)
    return (
        f"not counted: {', '.join(found)}; register a formula, or allow_uncounted = [{allow}]"
        if found
        else ""
    )


def subject_of(model: Model) -> Subject:
    """What the policy names, to count."""
    options = dict(model.options)
    given = list(map(parse_input, model.inputs))
    named: dict[str, tuple[int, ...] | Typed] = {name: shape for name, shape in given if name is not None}
    if named:
        options["kwargs"] = named
    return sources.subject(model.source, *(shape for name, shape in given if name is None), **options)
