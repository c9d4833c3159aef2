"""The operators of a trace against fvcore's counts; its convention explains every accepted difference."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mbanalyze.conventions.convention import Amount
from mbanalyze.conventions.fvcore import FVCORE
from mbanalyze.crosscheck.checked_count import NOT_COUNTED, CheckedCount
from mbanalyze.crosscheck.counters import fvcore_analysis
from mbanalyze.ops.cost import PRODUCTS
from mbanalyze.ops.record import Op
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

_FVCORE_NAMES = {
    **dict.fromkeys(("mm", "bmm", "addmm"), "matmul"),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), "linear"),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d"), "interpolate"),
    **dict.fromkeys(("global_avg_pool", "adaptive_avg_pool"), "adaptive_avg_pool2d"),
    "instance_norm": "instance_norm",
    "batch_norm_training": "batch_norm",
    "grid_sample": "grid_sampler",
}
"""Operator or kind -> the name under which fvcore's counts are compared; others keep their name."""


def _fvcore_name(op: Op) -> str:
    return _FVCORE_NAMES.get(op.operator) or _FVCORE_NAMES.get(op.kind, op.kind.removeprefix("aten::"))


def against_fvcore(report: Report, theirs: Mapping[str, int]) -> Iterator[CheckedCount]:
    """Compare our counts with fvcore's, kind by kind.

    Args:
        report: a traced report that follows calls.
        theirs: fvcore's counts by operator.
    """
    left = Counter[str]()
    for name, count in theirs.items():
        left[_FVCORE_NAMES.get(name, name)] += count
    amounts = defaultdict[int, list[Amount]](list)
    for amount in FVCORE.amounts(report.record):
        if amount.macs and amount.first < amount.last:
            amounts[amount.first].append(amount)
    groups: dict[str, list[_Counted]] = {}
    for i, row in enumerate(report.rows):
        groups.setdefault(_fvcore_name(row.op), []).append(_Counted(row, amounts[i]))
    for name, counted in groups.items():
        yield _compare(counted, left.pop(name, None))
    for name, count in left.items():
        yield CheckedCount(f"fvcore/{name}", None, count, False, "mbanalyze recorded no such operator")


class _Counted(NamedTuple):
    """An operator, and the amounts that fvcore's convention counts for it."""

    row: Row
    amounts: list[Amount]

    @property
    def ours(self) -> int | None:
        """Our count of the quantity that fvcore counts: macs of products, flops of other kinds."""
        return self.row.cost.macs if self.row.op.kind in PRODUCTS else self.row.cost.flops

    @property
    def theirs(self) -> int:
        """The count by fvcore's convention."""
        return sum(amount.macs for amount in self.amounts)

    @property
    def reasons(self) -> list[str]:
        """The rules of the convention that differ from ours."""
        if self.theirs == self.ours:
            return []
        rules = [amount.what for amount in self.amounts if amount.macs != self.ours]
        return rules or [f"{self.row.op.operator}: not counted"]


def _compare(counted: Sequence[_Counted], theirs: int | None) -> CheckedCount:
    """Compare the operators that fvcore counts under one name; a difference needs a rule that gives it exactly."""
    what = "fvcore/" + "+".join(dict.fromkeys(each.row.op.kind for each in counted))
    counts = [each.ours for each in counted]
    ours = None if None in counts else sum(count or 0 for count in counts)
    if theirs is None:
        return CheckedCount(what, ours, None, None, NOT_COUNTED)
    if ours == theirs:
        return CheckedCount(what, ours, theirs, True)
    if ours is None:
        return CheckedCount(what, None, theirs, False, "mbanalyze has no formula for it")
    if sum(each.theirs for each in counted) != theirs:
        return CheckedCount(what, ours, theirs, False, "unexplained")
    reasons = dict.fromkeys(reason for each in counted for reason in each.reasons)
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

    try:
        args, named = ones(module, inputs, keywords or {})
        analysis = fvcore_analysis(copy.deepcopy(module).eval(), args, named)
        return {name: int(count) for name, count in analysis.by_operator().items()}
    except Exception as error:
        said = (str(error).strip() or "no message").splitlines()[0]
        raise FvcoreError(f"fvcore could not run it: {type(error).__name__}: {said}") from error
