"""The time of the rows of a report by a data sheet, and the time of the network that is the unit."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import fsum
from typing import Literal

from mbanalyze.profiles.data_sheet import DataSheet, RooflineTime, data_sheet
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row
from mbanalyze.sources.resolve import count

Execution = Literal["eager", "fused"]
EXECUTIONS: tuple[Execution, ...] = ("eager", "fused")
"""Operators as PyTorch runs them, or merged as an inference engine merges them."""

REFERENCE = "mobilenet_v2"
"""The network that takes one unit of relative time: its closed form, at 224 pixels."""


def time_of_row(row: Row, report: Report, sheet: DataSheet) -> RooflineTime:
    """Return the time of a row of a report; unknown flops add none, but their bytes do."""
    moved = row.cost.memory_access_bytes(report.itemsize)
    return sheet.time_of(row.cost.flops or 0, moved, report.dtype)


def sum_ns(rows: Iterable[Row], report: Report, sheet: DataSheet) -> float:
    """Return the time of some rows of a report, in nanoseconds."""
    return fsum(time_of_row(row, report, sheet).ns for row in rows)


@functools.lru_cache(maxsize=64)
def reference_ns(device: str, execution: Execution, batch: int, dtype: str) -> float:
    """Return the time of the reference network for a batch, in nanoseconds."""
    report = count(REFERENCE, batch=batch, dtype=dtype, fused=execution == "fused")
    return sum_ns(report.rows, report, data_sheet(device))
