"""What the models of a policy cost: each is made and counted on its own, so that one that fails hides no other."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from mbanalyze.guard.facts import Facts, facts
from mbanalyze.guard.policy import Model, Policy
from mbanalyze.inputs.parsing import parse_input
from mbanalyze.inputs.typed import Typed
from mbanalyze.report.network import Report
from mbanalyze.sources import resolve as sources
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Measured:
    """A model as it is.

    Attributes:
        model: what the policy says of it.
        facts: what it costs; None where that could not be found.
        reason: why not.
        subject: what was counted, to look at its modules.
        modules: what was imported from the project for it, by name.
    """

    model: Model
    facts: Facts | None = None
    reason: str = ""
    subject: ResolvedModel | None = None
    modules: Mapping[str, ModuleType] = field(default_factory=dict)

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Inside the `with`, the modules are where Python looks for them."""
        before = {name: sys.modules[name] for name in self.modules if name in sys.modules}
        sys.modules.update(self.modules)
        try:
            yield
        finally:
            for name in self.modules:
                del sys.modules[name]
            sys.modules.update(before)


def measure(
    policy: Policy, names: Iterable[str], progress: Callable[[], None] = lambda: None
) -> list[Measured]:
    """Each of these models as if it were the only one; `progress` is called after each."""
    measured = []
    for name in names:
        with beside(policy, policy.models[name].source) as imported:
            found = _measured(policy.models[name])
        measured.append(replace(found, modules=dict(imported)))
        progress()
    return measured


@contextlib.contextmanager
def beside(policy: Policy, source: str = "") -> Iterator[dict[str, ModuleType]]:
    """Inside the `with`, Python runs as if it had been started in the policy's folder.

    Files and imports are looked for there, and in the folders that the policy names. Afterwards the working
    directory, the search path and torch's default type are as they were, and what was imported from a folder
    of the `source` alone is so no more: those modules are what is yielded.
    """
    folder = policy.path.resolve().parent
    shared = [folder, *policy.python_path]
    own = (folder / source.rpartition(":")[0]).parent if ".py:" in source else folder
    path, before, imported = list(sys.path), dict(sys.modules), dict[str, ModuleType]()
    dtype = sys.modules["torch"].get_default_dtype() if "torch" in sys.modules else None
    sys.path[:0] = map(str, shared)
    try:
        with contextlib.chdir(folder):
            yield imported
    finally:
        sys.path[:] = path
        if "torch" in sys.modules:
            torch = sys.modules["torch"]
            torch.set_default_dtype(dtype or torch.float32)
        for name, module in list(sys.modules.items()):
            file = Path(getattr(module, "__file__", None) or "/")
            if own not in shared and before.get(name) is not module and file.is_relative_to(own):
                imported[name] = sys.modules.pop(name)


def _measured(model: Model) -> Measured:
    try:
        subject = subject_of(model)
        report = subject.report(**model.settings)
    except (ValueError, LookupError) as error:
        return Measured(model, reason=str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Measured(model, reason=f"unexpected {summarize(error)}")
    uncounted = uncounted_in(report, model.allow_uncounted)
    if uncounted:
        return Measured(model, reason=uncounted, subject=subject)
    return Measured(model, facts(model, report, unused_in(report, subject)), subject=subject)


def unused_in(report: Report, subject: ResolvedModel) -> int | None:
    """How many learned scalars the forward never reads; None where a closed form only knows their names."""
    if report.method == "closed-form":
        return None if report.unused_params else 0
    params = dict(subject.module.named_parameters())
    return sum(params[name].numel() for name in report.unused_params)


def uncounted_in(report: Report, allowed: frozenset[str]) -> str:
    """What nobody could count, but for the operators that are `allowed`; "" where there is nothing."""
    uncounted = [each for each in report.uncounted if each.operator not in allowed]
    if not uncounted:
        return ""
    found = ", ".join(f"{each.operator} in {each.path or 'the model'}" for each in uncounted)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(each.operator for each in uncounted))
    return f"not counted: {found}; register a formula, or allow_uncounted = [{names}]"


def subject_of(model: Model) -> ResolvedModel:
    """What the policy names, to count."""
    options = dict(model.options)
    given = list(map(parse_input, model.inputs))
    named: dict[str, tuple[int, ...] | Typed] = {name: shape for name, shape in given if name is not None}
    if named:
        options["kwargs"] = named
    return sources.resolve(model.source, *(shape for name, shape in given if name is None), **options)
