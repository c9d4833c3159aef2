"""The formula of operators that are one node of a file and several operators of PyTorch."""

from __future__ import annotations

from mbanalyze.ops.derivations import number
from mbanalyze.ops.record import Op


def composite(op: Op) -> tuple[int, int]:
    """The flops of the steps of one node of a file that PyTorch runs as several operators.

    Softsign takes 3 per element (absolute value, increment, divide), and a sum of `a` tensors `a - 1`.
    """
    return 0, number(op, "flops")
