"""Operators that a counter leaves out, although it counts others of the kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mbanalyze.conventions.convention import Amount, Record, RecordRule, Rules
from mbanalyze.ops.record import Op

Reasons = Callable[[Record], Mapping[int, str]]
"""A function that returns the indices of operators, and for each one the reason in words."""


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
