"""Operators that run graphs: conditions, loops, and contexts of gradients and casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from mbanalyze.trace.unknown_operator import active_recorder

Part = Callable[..., Any]
"""The function of a graph."""


def _cond(condition: Any, if_true: Part, if_false: Part, operands: Any = ()) -> Any:
    if active_recorder():
        return torch.ops.higher_order.cond(condition, if_true, if_false, tuple(operands))
    return (if_true if bool(condition) else if_false)(*operands)


def _while_loop(condition: Part, body: Part, carried: Any, additional: Any = ()) -> Any:
    def again(*values: Any) -> Any:
        result = condition(*values)
        return result[0] if isinstance(result, tuple) else result

    def once(*values: Any) -> tuple[Any, ...]:
        result = body(*values)
        return result if isinstance(result, tuple) else (result,)

    carried, additional = tuple(carried), tuple(additional)
    if active_recorder():
        return torch.ops.higher_order.while_loop(again, once, carried, additional)
    while bool(again(*carried, *additional)):
        carried = once(*carried, *additional)
    return carried


def _with_gradients(enabled: bool, part: Part, *operands: Any) -> Any:
    with torch.set_grad_enabled(bool(enabled)):
        return part(*operands)


def _with_autocast(
    device: str, dtype: Any, enabled: bool, cache_enabled: bool | None, part: Part, *operands: Any
) -> Any:
    with torch.autocast(device, dtype=dtype, enabled=bool(enabled), cache_enabled=cache_enabled):
        return part(*operands)


def _invoke(part: Part, _identifier: str, *operands: Any) -> Any:
    return part(*operands)


BRANCH_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "torch.ops.higher_order.cond": _cond,
    "torch.ops.higher_order.while_loop": _while_loop,
    "torch.ops.higher_order.wrap_with_set_grad_enabled": _with_gradients,
    "torch.ops.higher_order.wrap_with_autocast": _with_autocast,
    "torch.ops.higher_order.invoke_subgraph": _invoke,
}
"""Target -> the function of its arguments."""
