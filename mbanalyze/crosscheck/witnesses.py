"""A network counted by independent witnesses: its trace, fvcore, and its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from mbanalyze.crosscheck.checked_count import CLOSED_FORM, CheckedCount
from mbanalyze.display.result import Result
from mbanalyze.ops.record import Op, Value
from mbanalyze.report.network import Groups, Report, versions
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.sources.resolved_model import ResolvedModel

if TYPE_CHECKING:
    from mbanalyze.model_files.onnx_file.onnx_graph import OnnxGraph
    from mbanalyze.trace.tracer import Module


@dataclass(frozen=True, slots=True, repr=False)
class Check(Result):
    """Every comparison of one network with its witnesses.

    Attributes:
        report: the trace that is compared, in eval mode, or the record of a file of ONNX.
        comparisons: the comparisons.
    """

    report: Report
    comparisons: tuple[CheckedCount, ...]

    @property
    def agree(self) -> bool | None:
        """False if a comparison disagrees; None if no operator could be compared, only parameters; else True."""
        if any(each.agree is False for each in self.comparisons):
            return False
        return True if any(each.agree for each in self.comparisons if each.quantity != "params") else None

    def as_dict(self) -> dict[str, Any]:
        """Return the check as a JSON document."""
        traced = self.report.as_dict()
        subject = {key: traced[key] for key in ("model", "options", "input")}
        return {
            "agree": self.agree,
            **subject,
            "mode": "eval",
            "versions": self.versions,
            "comparisons": self.records(),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each comparison."""
        return [{**asdict(each), "quantity": each.quantity} for each in self.comparisons]

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the software on both sides."""
        return versions("onnx") if self.report.method == "file" else versions("torch", "fvcore")


@dataclass(frozen=True, repr=False)
class CheckedReport(Result):
    """A report with its check.

    Attributes:
        shown: the report, or its groups.
        check: the check of the same network.
    """

    shown: Report | Groups
    check: Check

    def as_dict(self) -> dict[str, Any]:
        """Return the report's document with the check under `check`."""
        return {**self.shown.as_dict(), "check": self.check.as_dict()}

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the report."""
        return self.shown.records()

    def columns(self) -> list[str]:
        """Return the keys of each record."""
        return self.shown.columns()


Step = Callable[[str], None]
"""A callback for the name of the step that begins."""


def check(
    what: Countable,
    /,
    *inputs: Any,
    real: bool | None = None,
    keep: bool = False,
    progress: Step | None = None,
    **options: Any,
) -> Check:
    """Compare a network's closed form with its trace, and the trace with fvcore and `sum(p.numel())`.

    A file of ONNX has no module for fvcore. Its products are compared with the shapes and initializers in the file.

    Args:
        what: the network, as `mbanalyze.count` takes it.
        inputs: the inputs of its forward pass, as for `count`.
        real: as for `count`.
        keep: assume that operators which select by value keep every candidate.
        progress: callback for the name of the step that begins.
        options: hyper-parameters of the network, as for `count`.

    Raises:
        ShapeError, TraceError, SourceError: the network could not be built or traced.

    >>> check("squeezenet1_1", resolution=64).agree
    True
    """
    resolved = resolve(what, *inputs, **options)
    return check_model(resolved, real=real, keep=keep, progress=progress)


def check_model(
    model: ResolvedModel, *, real: bool | None = None, keep: bool = False, progress: Step | None = None
) -> Check:
    """Check a resolved model; arguments and errors as for `check`."""
    progress = progress or (lambda _: None)
    if model.graph is not None:
        return _check_graph(model, model.graph, progress)
    progress("building the module")
    module = model.module
    progress("tracing the module")
    traced = model.report(calls=True, real=real, keep=keep)
    comparisons: list[CheckedCount] = []
    if model.spec is not None:
        progress("counting in closed form")
        comparisons.append(same_ops(_ops(model.report()), _ops(traced)))
    progress("counting with fvcore")
    comparisons += _with_fvcore(traced, model)
    comparisons.append(all_params(traced, module))
    return Check(traced, tuple(comparisons))


def _check_graph(model: ResolvedModel, graph: OnnxGraph, progress: Step) -> Check:
    """Check the record of a file of ONNX."""
    from mbanalyze.crosscheck.onnx_witness import against_file

    progress("reading the operators of the file")
    report = model.report()
    progress("inferring shapes with onnx")
    no_fvcore = CheckedCount("fvcore", None, None, None, "not applicable: the file has no PyTorch module")
    return Check(report, (*against_file(report, graph.model), no_fvcore))


def _with_fvcore(traced: Report, model: ResolvedModel) -> list[CheckedCount]:
    """The comparisons with fvcore; only its reason if it cannot run the module."""
    from mbanalyze.crosscheck.fvcore_witness import FvcoreError, against_fvcore, fvcore_counts

    try:
        return list(against_fvcore(traced, fvcore_counts(model.module, model.inputs, model.keywords)))
    except FvcoreError as error:
        return [CheckedCount("fvcore", None, None, None, str(error))]


def _ops(report: Report) -> list[Op]:
    return [row.op for row in report.rows]


def same_ops(ours: Sequence[Op], theirs: Sequence[Op]) -> CheckedCount:
    """Compare two lists of operators, which must be equal; the reason names the first difference."""
    for i, (a, b) in enumerate(zip_longest(ours, theirs)):
        if a != b:
            reason = f"operator {i}, {_difference(a, b)}"
            return CheckedCount(CLOSED_FORM, len(ours), len(theirs), False, reason)
    return CheckedCount(CLOSED_FORM, len(ours), len(theirs), True)


def _difference(a: Op | None, b: Op | None) -> str:
    """The first field in which two operators differ."""
    if a is None or b is None:
        present = a or b
        assert present is not None
        return f"{present.kind} in {present.path or '(model)'}, has no counterpart"
    for name in Op._fields:
        ours, theirs = getattr(a, name), getattr(b, name)
        if name != "operator" and ours != theirs:
            where = f"{a.kind} in {a.path or '(model)'}"
            return f"{where}, {name}: {_shown(ours)} against {_shown(theirs)}"
    raise AssertionError("equal operators do not differ")


def _shown(value: object) -> str:
    """A field of an operator as text; values are shown as role, number and shape."""
    if isinstance(value, tuple) and all(isinstance(v, Value) for v in value):
        return ", ".join(f"{v.role} {v.number} {list(v.shape)}" for v in value)
    return repr(value)


def all_params(report: Report, module: Module) -> CheckedCount:
    """Compare the parameters that the trace reads or lists as unused with those of the module."""
    from mbanalyze.crosscheck.quantised_numel import numel
    from mbanalyze.trace.module_tree import named_modules, named_params

    named = named_params(named_modules(module))
    ours = report.totals.params + sum(named[name].numel() for name in report.unused_params)
    theirs = numel(module)
    return CheckedCount("params/numel", ours, theirs, ours == theirs)
