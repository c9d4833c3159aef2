"""Commands as processes of their own: seconds, CPU seconds and peak memory."""

from __future__ import annotations

import functools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks import timing

HERE = Path(__file__).parent
ROOT = HERE.parent
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Command:
    """Arguments of Python, and environment variables added to those of this process."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)


class Ran(NamedTuple):
    """The seconds, CPU seconds and peak memory in bytes of a process, those that it started included."""

    seconds: float
    cpu: float
    peak: int


class CommandError(RuntimeError):
    """A command that ended with another exit code than 0."""


def mbanalyze(*arguments: str) -> Command:
    """Return a command line of mbanalyze."""
    return Command(("-m", "mbanalyze", *arguments))


def script(code: str, *arguments: str) -> Command:
    """Return a Python program with its arguments."""
    return Command(("-c", code, *arguments))


@functools.cache
def search_path() -> str:
    """Return PYTHONPATH for the commands: this repository, and the import hook if torchvision needs it."""
    tried = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False)
    hook = [] if tried.returncode == 0 else [str(HERE / "without_extension")]
    return os.pathsep.join([*hook, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


@functools.cache
def bytecode() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of compiled Python files, which the first run of each command fills, as an installation has."""
    return tempfile.TemporaryDirectory()


def _start(arguments: list[str], command: Command) -> str:
    """Run a command and return what it prints.

    Raises:
        CommandError: it ended with another exit code than 0.
    """
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode().name}
    environ = {**os.environ, **compiled, "PYTHONPATH": search_path(), **command.environ}
    ran = subprocess.run(  # noqa: S603 (commands of this benchmark)
        [*arguments, sys.executable, *command.arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise CommandError((ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1])
    return ran.stdout


def output(command: Command) -> str:
    """Run a command and return what it prints; errors as `_start`."""
    return _start([], command)


def measured(command: Command) -> Ran:
    """Run a command without its output; errors as `_start`."""
    seconds, cpu, peak = _start([sys.executable, str(HERE / "measure_process.py")], command).split()
    return Ran(float(seconds), float(cpu), int(peak))


def alternating(commands: Mapping[str, Command], rounds: int) -> tuple[dict[str, list[Ran]], dict[str, str]]:
    """Measure each command once a round, after a round that is left out; the errors by name too."""

    def measuring(command: Command) -> Callable[[], Ran]:
        return lambda: measured(command)

    return timing.repeated({name: measuring(command) for name, command in commands.items()}, rounds)


def seconds(runs: list[Ran]) -> float:
    """Return the median of the seconds."""
    return statistics.median(run.seconds for run in runs)


def cpu(runs: list[Ran]) -> float:
    """Return the median of the CPU seconds."""
    return statistics.median(run.cpu for run in runs)
