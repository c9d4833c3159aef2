"""Our rows against witnesses that share no code with them: the trace, fvcore, and the module's own parameters."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from mbanalyze.cost import PRODUCTS, Op
from mbanalyze.report import Report
from mbanalyze.sources import Subject

if TYPE_CHECKING:
    from torch import nn


class CheckError(ValueError):
    """A witness that could not be heard."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing counted twice.

    Attributes:
        what: the pair, such as `closed-form/trace` or `fvcore/conv`.
        ours, theirs: the two counts; None where a side does not count it.
        agree: whether they are equal, or differ for a known reason.
        reason: why they differ, or are not comparable; None where they are equal.
    """

    what: str
    ours: int | None
    theirs: int | None
    agree: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every comparison made of one network."""

    comparisons: tuple[Comparison, ...]

    @property
    def agree(self) -> bool:
        """Whether all of them agree."""
        return all(comparison.agree for comparison in self.comparisons)

    def as_dict(self) -> dict[str, Any]:
        """The check as a JSON object."""
        return {"agree": self.agree, "comparisons": [asdict(c) for c in self.comparisons]}


def check(subject: Subject) -> Agreement:
    """Closed form against trace, trace against fvcore, parameters against `sum(p.numel())`.

    Raises:
        CheckError: fvcore could not run the module.
        ShapeError, TraceError, SourceError: the network could not be built or run.
    """
    module = subject.build()
    traced = subject.traced(module)
    comparisons: list[Comparison] = []
    if subject.spec is not None:
        comparisons.append(same_ops(_ops(subject.report()), _ops(traced)))
    comparisons += against_fvcore(traced, fvcore_counts(module, subject.inputs))
    comparisons.append(all_params(traced, module))
    return Agreement(tuple(comparisons))


def _ops(report: Report) -> list[Op]:
    return [row.op for row in report.rows]


def same_ops(ours: Sequence[Op], theirs: Sequence[Op]) -> Comparison:
    """Two lists of operators, which must be equal; the reason names the first difference."""
    for i, (a, b) in enumerate(zip_longest(ours, theirs)):
        if a != b:
            reason = f"operator {i}: {_said(a)} against {_said(b)}"
            return Comparison("closed-form/trace", len(ours), len(theirs), False, reason)
    return Comparison("closed-form/trace", len(ours), len(theirs), True)


def _said(op: Op | None) -> str:
    if op is None:
        return "nothing"
    reads, writes = ([list(v.shape) for v in values] for values in (op.operands, op.output))
    return f"{op.kind} in {op.path or '(model)'} {reads} -> {writes}"


def all_params(report: Report, module: nn.Module) -> Comparison:
    """Parameters read in the trace, and those listed as unused, against all that the module holds."""
    named = dict(module.named_parameters())
    ours = report.totals.params + sum(named[name].numel() for name in report.unused_params)
    theirs = sum(param.numel() for param in module.parameters())
    return Comparison("params/numel", ours, theirs, ours == theirs)


class Known(NamedTuple):
    """A difference that is a choice: what fvcore counts for one operator, and why it is not what we do."""

    theirs: Callable[[Op], int]
    reason: str


# our kinds, and the operators under which fvcore counts them
_COUNTED_AS = (
    (("conv",), ("conv",)),
    (("linear",), ("linear",)),
    (("matmul",), ("matmul", "mm", "bmm", "addmm")),
    (("batch_norm",), ("batch_norm",)),
    (("global_avg_pool", "adaptive_avg_pool"), ("adaptive_avg_pool2d",)),
)
_KNOWN = {
    "batch_norm": Known(
        lambda op: prod(op.output[0].shape) * (2 if op.weights else 1),
        "fvcore counts one flop an element where no scale and shift are learned",
    ),
    "adaptive_avg_pool": Known(
        lambda op: prod(op.operands[0].shape),
        "fvcore counts each input element once, though windows overlap",
    ),
}


def against_fvcore(report: Report, theirs: Mapping[str, int]) -> Iterator[Comparison]:
    """Kind by kind: macs of products, flops of the rest.

    Args:
        theirs: fvcore's counts by operator.
    """
    left, seen = dict(theirs), set[str]()
    present = dict.fromkeys(row.op.kind for row in report.rows)
    for kind in present:
        kinds, names = next(
            (p for p in _COUNTED_AS if kind in p[0]), ((kind,), (kind.removeprefix("aten::"),))
        )
        if seen.issuperset(kinds):
            continue
        seen.update(kinds)
        counts = [left.pop(name) for name in names if name in left]
        yield _compare(report.only(*kinds), kinds, sum(counts) if counts else None)
    for name, count in left.items():
        yield Comparison(f"fvcore/{name}", None, count, False, "mbanalyze saw no such operator")


def _compare(rows: Report, kinds: tuple[str, ...], theirs: int | None) -> Comparison:
    kind = "+".join(dict.fromkeys(row.op.kind for row in rows.rows))
    ours = rows.totals.macs if kinds[0] in PRODUCTS else rows.totals.flops
    if theirs is None:
        return Comparison(f"fvcore/{kind}", ours, None, True, "not counted")
    if ours == theirs:
        return Comparison(f"fvcore/{kind}", ours, theirs, True)
    if ours is None:
        return Comparison(f"fvcore/{kind}", None, theirs, False, "mbanalyze has no formula for it")
    known = [_KNOWN[k] for k in kind.split("+") if k in _KNOWN]
    explained = sum(
        _KNOWN[row.op.kind].theirs(row.op) if row.op.kind in _KNOWN else row.cost.flops or 0
        for row in rows.rows
    )
    if known and explained == theirs:
        reason = "; ".join(difference.reason for difference in known)
        return Comparison(f"fvcore/{kind}", ours, theirs, True, reason)
    return Comparison(f"fvcore/{kind}", ours, theirs, False, "unexplained")


def fvcore_counts(module: nn.Module, inputs: Sequence[Any]) -> dict[str, int]:
    """Counts by operator of fvcore, from running a copy of `module` in eval mode on CPU tensors.

    Raises:
        CheckError: it could not be run.
    """
    import torch
    from torch.utils._pytree import tree_map_only

    from mbanalyze.trace import as_inputs

    def filled(tensor: torch.Tensor) -> torch.Tensor:
        return torch.ones(tensor.shape, dtype=tensor.dtype)

    examples = tree_map_only(torch.Tensor, filled, as_inputs(module, inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore rests on torch.jit, which is deprecated
        from fvcore.nn import FlopCountAnalysis

        try:
            model = copy.deepcopy(module).eval()
            counter = FlopCountAnalysis(model, tuple(examples))
            counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            return {name: int(count) for name, count in counter.by_operator().items()}
        except Exception as error:
            raise CheckError(f"fvcore could not run it: {type(error).__name__}: {error}") from error
