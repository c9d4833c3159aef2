"""The files in which a trace spends its time, as Python's profiler sees it."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from pathlib import Path

import torch
from torch import nn

import mbanalyze
from benchmarks.markdown import table

SHOWN = 14
"""The most files in the table."""


def place(file: str) -> str:
    """Return the name of a profiled file in the table: its path from the package's folder, or another package."""
    path, package = Path(file), Path(mbanalyze.__file__).parent
    if path.is_relative_to(package):
        return path.relative_to(package.parent).as_posix()
    return "torch, in Python" if path.is_relative_to(Path(torch.__file__).parent) else "Python's library"


def by_file(statistics: pstats.Stats) -> Counter[str]:
    """Return the own seconds of the functions of each file; those of C are listed by their caller's file."""
    totals: Counter[str] = Counter()
    for (file, _, _), (_, _, own, _, callers) in statistics.stats.items():  # type: ignore[attr-defined]
        if file != "~":
            totals[place(file)] += own
            continue
        for (calling, _, _), (_, _, called, _) in callers.items():
            totals[place(calling) if calling != "~" else "Python's library"] += called
    return totals


def files(module: nn.Module, shape: tuple[int, ...], times: int) -> str:
    """Return a table of the files with the largest shares of the profiler's time, over hot traces of a module."""
    profiler = cProfile.Profile()
    mbanalyze.count(module, shape)
    for _ in range(times):
        profiler.runcall(mbanalyze.count, module, shape)
    totals = by_file(pstats.Stats(profiler))
    largest = totals.most_common(SHOWN)
    shares = [*largest, ("all others", totals.total() - sum(own for _, own in largest))]
    rows = [[name, f"{100 * own / totals.total():.1f} %"] for name, own in shares]
    return table([f"file, {type(module).__name__} hot", "share of the profiler's time"], rows)
