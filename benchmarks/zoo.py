"""All models of timm in one command, and two workers against one."""

from __future__ import annotations

import csv
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks import commands, targets, timing
from benchmarks.commands import Command, Ran, mbanalyze
from benchmarks.markdown import failed, table
from benchmarks.targets import Target

PATTERN = "timm:*"
FACTORY = ("mbanalyze.models:MobileNetV2", "--input", "1,3,224,224")
WORK: dict[str, tuple[str, ...]] = {
    "models that match `timm:mobilenet*`": ("timm:mobilenet*",),
    "40 variants of a factory": (*FACTORY, "--set", "alpha=0.5:1.475:0.025"),
    "400 variants of a factory": (*FACTORY, "--set", "alpha=0.4:1.3975:0.0025"),
}
"""The arguments of `ablate` that are measured with one worker and with two."""
ROUNDS = 3
"""The most rounds of these."""


def quantities(ran: Ran) -> Iterable[tuple[str, float, Target | None]]:
    """Yield the name, number and target of each quantity of the zoo's run."""
    yield "CPU seconds", ran.cpu, targets.ZOO_CPU_SECONDS
    yield "GB, the peak of the largest process", ran.peak / 1e9, targets.ZOO_GIGABYTES
    yield "seconds", ran.seconds, None


def zoo(ran: Ran, rows: list[dict[str, str]]) -> str:
    """Return the table of a run over all models, and the models that it does not count completely."""
    table_rows = [[name, f"{n:.3g}", *targets.cells(n, target)] for name, n, target in quantities(ran)]
    named = [row["model"] for row in rows if row["complete"] != "True"]
    said = f"{len(rows):,} models; not counted completely: {', '.join(named) or 'none'}."
    return f"{table([f'ablate {PATTERN}', 'measured', 'target', 'reached'], table_rows)}\n\n{said}"


def all_models(folder: Path) -> str:
    """Count all models of timm once."""
    for _ in timing.tracked([1], f"ablate {PATTERN}"):
        file = folder / "zoo.csv"
        ran = commands.measured(mbanalyze("ablate", PATTERN, "--output", str(file)))
        with file.open(newline="") as text:
            return zoo(ran, list(csv.DictReader(text)))
    raise AssertionError


def commands_by_workers() -> dict[str, Command]:
    """Return the command of each piece of work, with one worker and with two."""
    return {
        f"{name}, {workers}": mbanalyze("ablate", *arguments, "--workers", str(workers))
        for name, arguments in WORK.items()
        for workers in (1, 2)
    }


def worker_rows(runs: Mapping[str, list[Ran]]) -> list[list[str]]:
    """Return the cells of each piece of work that ran with one worker and with two."""
    rows = []
    for name in WORK:
        one, two = runs.get(f"{name}, 1"), runs.get(f"{name}, 2")
        if one and two:
            ratio = commands.seconds(two) / commands.seconds(one)
            measured = [
                f"{call(runs):.2f}" for call in (commands.seconds, commands.cpu) for runs in (one, two)
            ]
            noise = statistics.mean(timing.noise([run.seconds for run in runs]) for runs in (one, two))
            rows.append(
                [
                    name,
                    *measured[:2],
                    f"{100 * noise:.0f} %",
                    f"**{ratio:.2f}**",
                    *targets.cells(ratio, targets.TWO_WORKERS),
                    *measured[2:],
                ]
            )
    return rows


def measure(rounds: int) -> str:
    """Count all models of timm, and measure one worker and two."""
    with tempfile.TemporaryDirectory() as folder:
        everything = all_models(Path(folder))
    runs, errors = commands.alternating(commands_by_workers(), min(rounds, ROUNDS))
    header = [
        "seconds",
        "one worker",
        "two",
        "noise",
        "two / one",
        "target",
        "reached",
        "CPU of one",
        "of two",
    ]
    return f"{everything}\n\n{table(header, worker_rows(runs))}\n\nThe workers have {min(rounds, ROUNDS)} rounds.\n\n{failed(errors)}"
