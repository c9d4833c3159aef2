"""Reports with as many rows as a test needs."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle, islice

from mbanalyze import count
from mbanalyze.report.network import Report


def many_rows(number: int, path: str = "stage{}.layer") -> Report:
    """Return MobileNetV2's operators again and again, each in a module of its own.

    Args:
        number: the number of operators.
        path: the module of each, with {} for its number.
    """
    network = count("mobilenet_v2")
    rows = islice(cycle(network.rows), number)
    named = (row._replace(op=row.op._replace(path=path.replace("{}", str(i)))) for i, row in enumerate(rows))
    return replace(network, rows=tuple(named))
