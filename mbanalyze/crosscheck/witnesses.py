"""A network counted by independent witnesses: its trace, fvcore, and its own parameters."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any

from mbanalyze.crosscheck.counters import fvcore_analysis
from mbanalyze.display.result import Result
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.record import Op, Value
from mbanalyze.report.network import Groups, Report, versions
from mbanalyze.report.rows import Row
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.sources.resolved_model import ResolvedModel

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


CLOSED_FORM = "closed-form/trace"
"""The comparison of the operators of a known network."""
NOT_COUNTED = "fvcore does not count it"
"""The reason of a comparison that fvcore's side is missing from."""


@dataclass(frozen=True, slots=True)
class CheckedCount:
    """One quantity, counted by us and by a witness.

    Attributes:
        what: the two sides and the quantity, such as `closed-form/trace` or `fvcore/conv`.
        ours, theirs: the two counts; None if a side does not count it.
        agree: True if they are equal, or differ for a known reason; None if a side counted nothing.
        reason: the reason for a difference, or for nothing to compare; None if the counts are equal.
    """

    what: str
    ours: int | None
    theirs: int | None
    agree: bool | None
    reason: str | None = None

    @property
    def quantity(self) -> str:
        """The quantity: operators, params, macs of products, or flops of other kinds."""
        witness, _, kinds = self.what.partition("/")
        if not kinds:
            return "macs, flops"
        if witness != "fvcore":
            return "params" if witness == "params" else "operators"
        return "macs" if set(kinds.split("+")) <= PRODUCTS else "flops"


@dataclass(frozen=True, slots=True, repr=False)
class Check(Result):
    """Every comparison of one network with its witnesses.

    Attributes:
        report: the trace that is compared, in eval mode.
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
        return versions("torch", "fvcore")


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
    progress("building the module")
    module = model.module
    progress("tracing the module")
    traced = model.report(trace=True, real=real, keep=keep)
    comparisons: list[CheckedCount] = []
    if model.spec is not None:
        progress("counting in closed form")
        comparisons.append(same_ops(_ops(model.report()), _ops(traced)))
    progress("counting with fvcore")
    comparisons += _with_fvcore(traced, model)
    comparisons.append(all_params(traced, module))
    return Check(traced, tuple(comparisons))


def _with_fvcore(traced: Report, model: ResolvedModel) -> list[CheckedCount]:
    """The comparisons with fvcore; only its reason if it cannot run the module."""
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
    named = dict(module.named_parameters())
    ours = report.totals.params + sum(named[name].numel() for name in report.unused_params)
    theirs = sum(param.numel() for param in module.parameters())
    return CheckedCount("params/numel", ours, theirs, ours == theirs)


# our kinds, and fvcore's operators for them
_COUNTED_AS = (
    (("conv",), ("conv",)),
    (("linear",), ("linear",)),
    (("matmul",), ("matmul", "mm", "bmm", "addmm")),
    (("interpolate",), ("upsample_nearest2d", "upsample_bilinear2d")),
    (("batch_norm",), ("batch_norm",)),
    (("global_avg_pool", "adaptive_avg_pool"), ("adaptive_avg_pool2d",)),
)


def _known(row: Row) -> tuple[int, str | None]:
    """The count of fvcore's convention for a row, and the convention; our count and None if they are the same."""
    op, name = row.op, row.op.operator
    if op.kind == "batch_norm" and not op.weights:
        return prod(op.output[0].shape), "fvcore counts one flop an element where no scale is learned"
    if op.kind in ("layer_norm", "group_norm", "instance_norm"):
        elements, affine = prod(op.output[0].shape), op.attribute("affine")
        return elements * (5 if affine else 4), "fvcore counts 4 flops an element, 5 with scale or shift"
    if op.kind == "interpolate" and (taps := op.attribute("taps")) in (1, 4):
        return taps * prod(
            op.output[0].shape
        ), f"fvcore counts {taps} {'flop' if taps == 1 else 'flops'} an element"
    if op.kind == "adaptive_avg_pool":
        return prod(op.operands[0].shape), "fvcore counts each input element once, though windows overlap"
    if (op.kind == "global_avg_pool" and name != "adaptive_avg_pool2d") or name == "baddbmm":
        return 0, f"fvcore does not count {name}"
    return _ours(row) or 0, None


def _ours(row: Row) -> int | None:
    """Our count of the quantity that fvcore counts: macs of products, flops of other kinds."""
    return row.cost.macs if row.op.kind in PRODUCTS else row.cost.flops


def against_fvcore(report: Report, theirs: Mapping[str, int]) -> Iterator[CheckedCount]:
    """Compare our counts with fvcore's, kind by kind.

    Args:
        report: a traced report.
        theirs: fvcore's counts by operator.
    """
    left, seen = dict(theirs), set[str]()
    for kind in dict.fromkeys(row.op.kind for row in report.rows):
        own = ((kind,), (kind.removeprefix("aten::"),))
        kinds, names = next((pair for pair in _COUNTED_AS if kind in pair[0]), own)
        if seen.isdisjoint(kinds):
            counts = [left.pop(name) for name in names if name in left]
            yield _compare(report.only(*kinds).rows, sum(counts) if counts else None)
        seen.update(kinds)
    for name, count in left.items():
        yield CheckedCount(f"fvcore/{name}", None, count, False, "mbanalyze recorded no such operator")


def _compare(rows: Sequence[Row], theirs: int | None) -> CheckedCount:
    what = "fvcore/" + "+".join(dict.fromkeys(row.op.kind for row in rows))
    counts = [_ours(row) for row in rows]
    ours = None if None in counts else sum(count or 0 for count in counts)
    if theirs is None:
        return CheckedCount(what, ours, None, None, NOT_COUNTED)
    if ours == theirs:
        return CheckedCount(what, ours, theirs, True)
    if ours is None:
        return CheckedCount(what, None, theirs, False, "mbanalyze has no formula for it")
    known = [_known(row) for row in rows]
    if sum(count for count, _ in known) != theirs:
        return CheckedCount(what, ours, theirs, False, "unexplained")
    reasons = dict.fromkeys(reason for _, reason in known if reason)
    return CheckedCount(what, ours, theirs, True, "; ".join(reasons))


class FvcoreError(ValueError):
    """A module that fvcore cannot run."""


def fvcore_counts(
    module: Module, inputs: Sequence[Any], keywords: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Return fvcore's counts by operator, from a copy of `module` in eval mode on CPU tensors.

    Raises:
        FvcoreError: the module raised an exception.
    """
    from mbanalyze.trace.forward_args import ones

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore rests on torch.jit, which is deprecated
        try:
            args, named = ones(module, inputs, keywords or {})
            analysis = fvcore_analysis(copy.deepcopy(module).eval(), args, named)
            return {name: int(count) for name, count in analysis.by_operator().items()}
        except Exception as error:
            said = (str(error).strip() or "no message").splitlines()[0]
            raise FvcoreError(f"fvcore could not run it: {type(error).__name__}: {said}") from error
