"""Run the sections of the benchmark, and write `benchmarks/DATE.md` or print the sections that were chosen."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import grids, growth, peers_table, timing, trace_profile, whole_processes, zoo
from benchmarks.peers import versions
from mbanalyze.display.files import write

HERE = Path(__file__).parent
ROUNDS = 5

SECTIONS: dict[str, tuple[str, Callable[[int], str]]] = {
    "peers": ("From a module to its totals", peers_table.measure),
    "processes": ("Whole processes", whole_processes.measure),
    "zoo": ("The zoo", zoo.measure),
    "grids": ("Grids", grids.measure),
    "growth": ("Growth", growth.measure),
    "profile": ("A profile of a trace", trace_profile.measure),
}
"""The name of each section on the command line, its heading, and the function that measures it."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument(
        "sections",
        nargs="*",
        choices=[*SECTIONS, []],
        metavar="SECTION",
        help=f"sections to measure and print: {', '.join(SECTIONS)}; by default, all are measured and written",
    )
    made.add_argument(
        "--rounds", type=rounds, default=ROUNDS, metavar="N", help="rounds (default %(default)s)"
    )
    return made


def rounds(text: str) -> int:
    """Return a number of rounds.

    Raises:
        argparse.ArgumentTypeError: it is not a whole number of 2 or more.
    """
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 2 or more")
    return int(text)


def measured(name: str, rounds: int) -> tuple[str, bool]:
    """Return a section, and True if it failed; its text is then the error."""
    title, measure = SECTIONS[name]
    try:
        body, failed = measure(rounds), False
    except Exception as error:
        traceback.print_exception(error)
        body, failed = f"**This section failed:** {timing.summary(error)}", True
    return f"\n## {title}\n\n{body}\n", failed


def heading(date: str, rounds: int, packages: Mapping[str, str]) -> str:
    """Return the beginning of the file: the machine, the versions, and the meaning of the numbers."""
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()}"
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    return (
        f"# Benchmark, {date}\n\n"
        f"`make benchmark` wrote this file on {machine}, {torch.get_num_threads()} threads.\n\n"
        f"Versions: {listed}.\n\n"
        f"Times are medians of {rounds} alternating rounds, after a round that is left out. "
        "Noise is half the interquartile range.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure sections, and return 1 if one of them failed."""
    chosen = parser().parse_args(arguments)
    done = [measured(name, chosen.rounds) for name in chosen.sections or SECTIONS]
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    text = heading(date, chosen.rounds, versions()) + "".join(body for body, _ in done)
    if chosen.sections:
        sys.stdout.write(text)
    else:
        write(HERE / f"{date}.md", text)
        sys.stderr.write(f"wrote {HERE.name}/{date}.md\n")
    return int(any(failed for _, failed in done))


if __name__ == "__main__":
    sys.exit(main())
