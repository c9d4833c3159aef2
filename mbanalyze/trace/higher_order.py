"""Operators that run functions: conditions, loops and attention with a score function."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from mbanalyze.ops.cost import Cost, total
from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import cost
from mbanalyze.trace.execution import Execution
from mbanalyze.trace.module_stack import ModuleStack
from mbanalyze.trace.shapes.layout import META, contiguous
from mbanalyze.trace.storage import Storages


class OperatorRecorder(AbstractContextManager[Any], Protocol):
    """The members of the recorder that these operators use."""

    execution: Execution
    storages: Storages
    module_stack: ModuleStack
    branches: dict[str, None]

    def add(self, *operator: Any) -> None:
        """Record one operator."""

    def refuse(self, error: Exception) -> Exception:
        """Return `error`, and remember it."""

    def trial(self) -> AbstractContextManager[list[Op]]:
        """Record operators in a list, and forget them and their effects."""


class HiddenOperatorsError(RuntimeError):
    """An operator runs others that a dispatch mode cannot see."""


def run_higher_order(
    recorder: OperatorRecorder, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run a higher-order operator and record what it runs.

    Raises:
        HiddenOperatorsError: the operator is unknown, or loops while a tensor without data is true.
    """
    name = operator.name()
    if name not in _HANDLERS:
        raise recorder.refuse(HiddenOperatorsError(f"the operator {name} hides what it runs"))
    return _HANDLERS[name](recorder, operator, *args, **kwargs)


def _cond(
    recorder: OperatorRecorder,
    _operator: Any,
    condition: Any,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    operands: Any = (),
) -> Any:
    """Run the branch that the condition selects, or the costlier one if it has no value."""
    if _has_value(recorder, condition):
        branch = if_true if bool(condition) else if_false
    else:
        costs = [_cost_of(recorder, each, operands) for each in (if_true, if_false)]
        branch = if_true if costs[0] >= costs[1] else if_false
        recorder.branches[recorder.module_stack.paths[-1]] = None
    with recorder:
        return branch(*operands)


def _cost_of(recorder: OperatorRecorder, branch: Callable[..., Any], operands: Any) -> tuple[int, int, int]:
    """The macs, flops and memory access of a branch; it runs, and is forgotten."""
    with recorder.trial() as ops, recorder:
        branch(*operands)
    spent: Cost = total([cost(op) for op in ops])
    return spent.macs or 0, spent.flops or 0, spent.memory_access


def _while_loop(
    recorder: OperatorRecorder,
    _operator: Any,
    condition: Callable[..., Any],
    body: Callable[..., Any],
    carried: tuple[Any, ...],
    additional: tuple[Any, ...] = (),
) -> Any:
    """Run a loop as long as its condition is true."""
    while True:
        with recorder:
            again = condition(*carried, *additional)
        if not _has_value(recorder, again):
            recorder.execution.asked = "while_loop"
            raise recorder.refuse(HiddenOperatorsError("while_loop repeats as the values of a tensor decide"))
        if not bool(again):
            return carried
        with recorder:
            carried = tuple(body(*carried, *additional))


def _has_value(recorder: OperatorRecorder, condition: Any) -> bool:
    execution = recorder.execution
    return not isinstance(condition, Tensor) or execution.real or not execution.lacks_values((condition,))


def _flex_attention(
    recorder: OperatorRecorder,
    operator: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *rest: Any,
    **settings: Any,
) -> tuple[Tensor, ...]:
    """Record attention, and the score function on all scores at once."""
    score_function, *others = rest
    batch, heads, length, _ = query.shape
    scores = torch.empty((batch, heads, length, key.shape[-2]), dtype=query.dtype, device=META)
    places = [scores[0, 0, 0, :1].int().view([1] * 4) for _ in scores.shape]
    recorder.storages.add_made((scores, *places))
    with recorder:
        score_function(scores, *places, *(others[3] if len(others) > 3 else ()))
    if recorder.execution.real:
        results: tuple[Tensor, ...] = operator(query, key, value, *rest, **settings)
    else:
        output = contiguous(query, (batch, heads, length, value.shape[-1]))
        statistics = contiguous(query, (batch, heads, length), torch.float32)
        results = output, statistics, statistics
    path = recorder.module_stack.paths[-1]
    recorder.storages.add_made(results[1:])
    recorder.add(path, "attention", (query, key, value), results[:1], (), "flex_attention")
    return results


_HANDLERS: dict[str, Callable[..., Any]] = {
    "cond": _cond,
    "while_loop": _while_loop,
    "flex_attention": _flex_attention,
}
"""Name of a higher-order operator -> what runs and records it."""
