"""The process that starts a process for each job, from a state that no project's code has touched."""

from __future__ import annotations

import importlib
import json
import math
import multiprocessing
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess, SpawnProcess
from pathlib import Path
from typing import TextIO

from mbanalyze.report.network import versions

Job = Callable[[], object]
"""A function that `pickle` can send to a process, whose result JSON can send back."""
TRACING = (
    "mbanalyze.trace.tracer",
    "mbanalyze.trace.forward_args",
    "mbanalyze.sources.skip_init",
)
"""The modules that every trace needs, torch among them."""
UNWRITTEN = 74
"""The exit code of a process that could not write its answer: EX_IOERR of BSD's sysexits.h."""
TIMED_OUT = 256
"""The number that replaces the exit code of a process over the time limit; no exit code is as large."""
WAIT = 0.1
"""Seconds after which the end of a process is noticed even if its own children keep its pipes open."""


@dataclass(frozen=True, slots=True)
class Request:
    """Jobs for the server.

    Attributes:
        jobs: jobs; the answer to job 3 is written to `3.json`, and what it prints to `3.txt`.
        folder: folder of these files.
        cwd: working directory of the processes.
        environ: environment variables of the processes.
        path: `sys.path` of the processes; None for that of the server.
        workers: largest number of processes at the same time.
        time_limit: seconds after which a process is ended; None for no limit.
    """

    jobs: Sequence[Job]
    folder: Path
    cwd: Path
    environ: Mapping[str, str]
    path: Sequence[str] | None
    workers: int
    time_limit: float | None = None


def main() -> None:
    """Serve the requests on stdin, and end with the process that sends them."""
    channel = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    _preload([*TRACING, *sys.argv[2:]])
    with suppress(EOFError):
        while True:
            _serve(pickle.load(sys.stdin.buffer), channel)  # noqa: S301 (our own parent process sends it)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)  # also what the jobs left behind


def _preload(names: Sequence[str]) -> None:
    """Import modules that most jobs need and look up the version of torch, once for all of them."""
    for name in names:
        with suppress(Exception), warnings.catch_warnings():  # the job that needs it says why it fails
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    versions("torch")


def _serve(request: Request, channel: TextIO) -> None:
    """Run all jobs, and write the number and exit code of each that ends.

    Raises:
        EOFError: the process that sent the request has ended.
    """
    waiting = list(range(len(request.jobs)))[::-1]
    running: dict[int, ForkProcess | SpawnProcess] = {}
    deadlines: dict[int, float] = {}
    stdin = [] if sys.platform == "win32" else [sys.stdin.fileno()]
    while waiting or running:
        while waiting and len(running) < request.workers:
            index = waiting.pop()
            running[index] = _start(request, index, channel)
            deadlines[index] = time.monotonic() + (request.time_limit or math.inf)
        if set(stdin) & set(wait([*stdin, *(process.sentinel for process in running.values())], WAIT)):
            raise EOFError
        for index, process in list(running.items()):
            code = _ending(process, deadlines[index])
            if code is not None:
                del running[index]
                print(index, code, file=channel, flush=True)


def _ending(process: ForkProcess | SpawnProcess, deadline: float) -> int | None:
    """The exit code of a process, which is ended after its deadline; None while it runs."""
    if process.exitcode is None and time.monotonic() > deadline:
        process.kill()
        process.join()
        return TIMED_OUT
    return process.exitcode


def _start(request: Request, index: int, channel: TextIO) -> ForkProcess | SpawnProcess:
    """Start the process of a job: a copy of this one, where a copy of a process with torch is safe."""
    process: ForkProcess | SpawnProcess
    if sys.platform == "linux":
        process = multiprocessing.get_context("fork").Process(target=_work, args=(request, index, channel))
    else:
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(request, index))
    process.start()
    return process


def _work(request: Request, index: int, channel: TextIO | None = None) -> None:
    """Do one job and end the process."""
    if channel:
        channel.close()
    printed = os.open(request.folder / f"{index}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.stdout = sys.stderr
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environ)
    if request.path is not None:
        sys.path[:] = request.path
    answer = json.dumps(request.jobs[index]())
    try:
        (request.folder / f"{index}.json").write_text(answer, encoding="utf-8")
    except OSError:
        os._exit(UNWRITTEN)
    for stream in filter(None, (sys.__stdout__, sys.stderr)):
        with suppress(Exception):
            stream.flush()
    os._exit(0)  # threads and exit handlers of the job's code do not delay the others
