"""The measurement of the models of a policy: each is built and counted in isolation from the others."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from mbanalyze.guard.measurement import Measurement
from mbanalyze.guard.policy import GuardedModel, Policy
from mbanalyze.inputs.input_text import as_arguments, parse_input
from mbanalyze.report.network import Report
from mbanalyze.sources.references import summarize
from mbanalyze.sources.resolve import ResolvedModel, resolve

Progress = Callable[[float], None]
"""A callback for the fraction of the models that are measured, from 0 to 1."""


def no_progress(_: float) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A guarded model with its measurement.

    Attributes:
        model: guarded model.
        measurement: cost of the model; None if it could not be measured.
        reason: the problem if the model could not be measured.
        resolved: resolved model, to look at its modules; None if it could not be resolved or counted.
        modules: modules that were imported from the project for this model, by name.
    """

    model: GuardedModel
    measurement: Measurement | None = None
    reason: str = ""
    resolved: ResolvedModel | None = None
    modules: Mapping[str, ModuleType] = field(default_factory=dict)

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Put the modules of this model into `sys.modules` inside the `with` statement."""
        before = {name: sys.modules[name] for name in self.modules if name in sys.modules}
        sys.modules.update(self.modules)
        try:
            yield
        finally:
            for name in self.modules:
                del sys.modules[name]
            sys.modules.update(before)


def measure(policy: Policy, names: Collection[str], progress: Progress = no_progress) -> list[MeasuredModel]:
    """Measure the named models, each in isolation; report progress after each."""
    measured = []
    for name in names:
        with project_environment(policy, policy.models[name].source) as imported:
            found = _measure(policy.models[name])
        measured.append(replace(found, modules=dict(imported)))
        progress(len(measured) / len(names))
    return measured


@contextlib.contextmanager
def project_environment(policy: Policy, source: str = "") -> Iterator[dict[str, ModuleType]]:
    """Run the `with` statement as if Python had been started in the folder of the policy.

    Files are looked up in that folder; imports also search the `python_path` of the policy. Afterwards the
    working directory, `sys.path` and torch's default dtype are restored. Modules that were imported from the
    folder of `source` are removed from `sys.modules`, unless all models share that folder.

    Yields:
        the removed modules by name; filled at the end.
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


def _measure(model: GuardedModel) -> MeasuredModel:
    try:
        resolved = resolve_model(model)
        report = resolved.report(**model.settings)
    except (ValueError, LookupError) as error:
        return MeasuredModel(model, reason=str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return MeasuredModel(model, reason=f"unexpected {summarize(error)}")
    return measure_report(model, resolved, report)


def measure_report(model: GuardedModel, resolved: ResolvedModel, report: Report) -> MeasuredModel:
    """Return a model with the measurement that its report states, unless operators are not counted."""
    uncounted = _describe_uncounted(report, model.allow_uncounted)
    if uncounted:
        return MeasuredModel(model, reason=uncounted, resolved=resolved)
    measurement = Measurement.from_report(model, report, _count_unused_params(report, resolved))
    return MeasuredModel(model, measurement, resolved=resolved)


def measurements(measured: Iterable[MeasuredModel]) -> dict[str, Measurement]:
    """Return the measurements of the models that could be measured, by name."""
    return {each.model.name: each.measurement for each in measured if each.measurement is not None}


def _count_unused_params(report: Report, resolved: ResolvedModel) -> int | None:
    """The number of learned scalars that the forward pass never reads.

    None is unknown: a closed form lists the names of such parameters without their sizes.
    """
    if report.method == "closed-form":
        return None if report.unused_params else 0
    params = dict(resolved.module.named_parameters())
    return sum(params[name].numel() for name in report.unused_params)


def _describe_uncounted(report: Report, allowed: frozenset[str]) -> str:
    """A message about operators without a count that are not `allowed`; "" if there are none."""
    uncounted = [each for each in report.uncounted if each.operator not in allowed]
    if not uncounted:
        return ""
    found = ", ".join(f"{each.operator} in {each.path or 'the model'}" for each in uncounted)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(each.operator for each in uncounted))
    return f"not counted: {found}; register a formula, or set allow_uncounted = [{names}]"


def resolve_model(model: GuardedModel) -> ResolvedModel:
    """Resolve the source, options and inputs of a guarded model."""
    inputs, keywords = as_arguments(map(parse_input, model.inputs))
    return resolve(model.source, *inputs, **model.options, **keywords)
