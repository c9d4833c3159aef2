"""Operators that a counter leaves out, although it counts others of the kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from mbanalyze.conventions.convention import Amount, Record, RecordRule, Rules
from mbanalyze.ops.record import Op

Reasons = Callable[[Record], Mapping[int, str]]
"""A function that returns the indices of operators, and for each one the reason in words."""


CONVOLUTIONS = tuple(f"{place}.conv{n}d" for place in ("torch.nn.functional", "torch") for n in (1, 2, 3))
"""The functions that are another operator in a graph of `torch.jit` if their padding is a word."""


def left_out(kinds: Rules[Op], *reasons: Reasons) -> RecordRule:
    """Return the rule that takes back the amounts of some operators.

    Args:
        kinds: the rules of the convention that count these operators.
        reasons: the operators; the first reason for one is the one that holds.
    """

    def taken_back(record: Record) -> Iterator[Amount]:
        """Return an amount below zero for each operator."""
        known: dict[int, str] = {}
        for reason in reasons:
            known = {**reason(record), **known}
        for i, what in sorted(known.items()):
            op = record.ops[i]
            if counted := sum(rule.count(op) for rule in kinds.get(op.kind, ())):
                yield Amount(what, -counted, i, i + 1, claims=False)

    return taken_back


def inside_functions(composed: Collection[str]) -> Reasons:
    """Return the reason for products inside functions that are one operator without a rule in a graph of `torch.jit`.

    Args:
        composed: the functions; convolutions whose padding is a word are added.
    """

    def found(record: Record) -> dict[int, str]:
        """Return the operators of each call."""
        reasons: dict[int, str] = {}
        for call in record.functions:
            padding = call.arguments.get("padding", call.arguments.get(4))
            what = f"{call.name}: not counted" if call.name in composed else ""
            if call.name in CONVOLUTIONS and isinstance(padding, str):
                what = f"conv: not counted with padding='{padding}'"
            if what:
                reasons.update(dict.fromkeys(range(call.first, call.last), what))
        return reasons

    return found
