"""A million variants of a network at once, and a grid of 100,000 with its frame and file."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks import commands, targets, timing
from benchmarks.commands import Ran, mbanalyze, script
from benchmarks.markdown import table

HEADER = ("mobilenet_v2", "measured", "target", "reached", "noise")

MILLION = """
import statistics, sys, time
import numpy as np
from mbanalyze import archs
from mbanalyze.ops.cost import total
from mbanalyze.ops.registry import cost
from mbanalyze.sweep.closed_form import count_grid
alphas, sides = np.linspace(0.25, 1.5, 1000), np.arange(32, 1032)
def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
def one_by_one():
    for alpha, side in zip(alphas.tolist(), sides.tolist()):
        total([cost(op) for op in archs.MobileNetV2(alpha=alpha, resolution=side).ops()])
grid = lambda: count_grid(archs.MobileNetV2, {"alpha": alphas}, sides)
print(seconds(grid))
print(1024 * int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))))
print(*(seconds(grid) for _ in range(int(sys.argv[1]))))
print(statistics.median(seconds(one_by_one) for _ in range(3)))
"""

STAGES = """
import sys, time
from mbanalyze import ablate
import numpy as np
times = [time.perf_counter()]
made = ablate("mobilenet_v2", alpha=np.linspace(0.25, 1.5, 400).tolist(), resolution=list(range(32, 282)))
times.append(time.perf_counter())
frame = made.frame()
times.append(time.perf_counter())
open(sys.argv[1], "w").write(made.to("csv"))
times.append(time.perf_counter())
print(len(frame), *(after - before for before, after in zip(times, times[1:])))
"""

GRID = ("ablate", "mobilenet_v2", "--alpha", "0.25:1.2475:0.0025", "--resolution", "32:281:1")
"""400 alphas and 250 resolutions."""


def million_rows(first: float, times: list[float], peak: float, thousand: float) -> list[list[str]]:
    """Return the rows of a million variants: seconds of each call, bytes of one, and seconds of a thousand one by one."""
    median, mebibytes = statistics.median(times), peak / commands.MEBIBYTE
    spread = f"{100 * timing.noise(times):.0f} %"
    return [
        ["a million variants, s", f"{median:.3f}", *targets.cells(median, targets.MILLION_SECONDS), spread],
        ["the first call, s", f"{first:.3f}", "-", "-", "-"],
        [
            "peak after the first call, MiB",
            f"{mebibytes:.0f}",
            *targets.cells(mebibytes, targets.MILLION_MEBIBYTES),
            "-",
        ],
        ["a thousand one by one, s", f"{thousand:.3f}", "-", "-", "-"],
    ]


def million(rounds: int) -> list[list[str]]:
    """Count a million variants repeatedly in one process, and a thousand one by one."""
    first, peak, times, thousand = commands.output(script(MILLION, str(rounds))).splitlines()
    return million_rows(float(first), list(map(float, times.split())), float(peak), float(thousand))


def grid_rows(runs: list[Ran], stages: list[float]) -> list[list[str]]:
    """Return the rows of a grid: the command, and the seconds of each stage in Python."""
    seconds = commands.seconds(runs)
    spread = f"{100 * timing.noise([run.seconds for run in runs]):.0f} %"
    peak = max(run.peak for run in runs) / commands.MEBIBYTE
    names = ("`ablate`", "its frame", "its CSV, written")
    return [
        [
            "100,000 variants: the command, written as CSV, s",
            f"{seconds:.2f}",
            *targets.cells(seconds, targets.GRID_SECONDS),
            spread,
        ],
        ["100,000 variants: peak of the command, MiB", f"{peak:.0f}", "-", "-", "-"],
        *(
            [f"100,000 variants in Python: {name}, s", f"{n:.2f}", "-", "-", "-"]
            for name, n in zip(names, stages, strict=True)
        ),
    ]


def hundred_thousand(rounds: int) -> list[list[str]]:
    """Measure the command of a grid of 100,000 variants with published figures, and its stages in Python."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "grid.csv")
        runs, errors = commands.alternating({"grid": mbanalyze(*GRID, "--output", file)}, rounds)
        if errors:
            raise commands.CommandError(errors["grid"])
        _, *stages = map(float, commands.output(script(STAGES, file)).split())
    return grid_rows(runs["grid"], stages)


def measure(rounds: int) -> str:
    """Measure both grids."""
    rows = []
    for part in timing.tracked((million, hundred_thousand), "grids"):
        rows += part(rounds)
    return table(HEADER, rows)
