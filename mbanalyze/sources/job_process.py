"""A process that runs jobs, one after another."""

from __future__ import annotations

import gc
import io
import json
import math
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess, SpawnProcess
from pathlib import Path
from typing import Any, TextIO

Job = Callable[[], object]
"""A function that `pickle` can send to a process, whose result JSON can send back."""
UNWRITTEN = 74
"""The exit code of a process that could not write its answer: EX_IOERR of BSD's sysexits.h."""
TIMED_OUT = 256
"""The number that replaces the exit code of a process over the time limit; no exit code is as large."""


@dataclass(frozen=True, slots=True)
class Request:
    """Jobs for the server.

    Attributes:
        jobs: pickled jobs, because only their own processes import a project's code.
            The answer to job 3 is written to `3.json`, and what it prints to `3.txt`.
        folder: folder of these files.
        cwd: working directory of the processes.
        environ: environment variables of the processes.
        path: `sys.path` of the processes; None for that of the server.
        workers: largest number of processes at the same time.
        time_limit: seconds after which a process is ended; None for no limit.
        reuse: largest number of jobs that a process runs.
    """

    jobs: Sequence[bytes]
    folder: Path
    cwd: Path
    environ: Mapping[str, str]
    path: Sequence[str] | None
    workers: int
    time_limit: float | None = None
    reuse: int = 1


@dataclass(slots=True)
class JobProcess:
    """A process as the server sees it.

    Attributes:
        process: the process.
        connection: sends the number of the next job, and receives that of a job that ended; None if there is
            only one job.
        limit: seconds that a job may take.
        job: number of the job that runs; None if there is no more.
        done: jobs that have ended, before the last one.
        deadline: time at which the process is ended.
    """

    process: ForkProcess | SpawnProcess
    connection: Connection | None
    limit: float
    job: int | None
    done: int = 0
    deadline: float = math.inf

    @property
    def events(self) -> list[Any]:
        """The objects that are ready if the process has ended, or waits for its next job."""
        return [self.process.sentinel, *([self.connection] if self.connection else [])]

    @property
    def has_exited(self) -> bool:
        """True after the end of the process."""
        return self.process.exitcode is not None

    def waits(self) -> bool:
        """Return True if the job has ended, and the process waits for another one."""
        with suppress(OSError, EOFError):
            if self.connection and self.connection.poll():
                self.connection.recv()
                self.done += 1
                return True
        return False

    def send(self, job: int | None) -> None:
        """Send the number of the next job; None ends the process."""
        self.job, self.deadline = job, time.monotonic() + self.limit
        with suppress(OSError):  # the process has ended
            assert self.connection
            self.connection.send(job)

    def exit_code(self) -> int | None:
        """Return the exit code of the process, which is ended after its deadline; None while it runs."""
        if not self.has_exited and time.monotonic() > self.deadline:
            self.process.kill()
            self.process.join()
            return TIMED_OUT
        return self.process.exitcode


def start(request: Request, job: int, channel: TextIO) -> JobProcess:
    """Start a process with its first job: a copy of this one, where a copy of a process with torch is safe.

    Args:
        request: all jobs.
        job: number of the job.
        channel: a file that only this process uses.
    """
    ours, theirs = multiprocessing.Pipe() if request.reuse > 1 else (None, None)
    process: ForkProcess | SpawnProcess
    if sys.platform == "linux":
        arguments = (request, job, theirs, channel)
        process = multiprocessing.get_context("fork").Process(target=_work, args=arguments)
    else:
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(request, job, theirs))
    with _found_by_children():
        process.start()
    if theirs:
        theirs.close()
    limit = request.time_limit or math.inf
    return JobProcess(process, ours, limit, job, deadline=time.monotonic() + limit)


@contextmanager
def _found_by_children() -> Iterator[None]:
    """Inside the `with` block, new processes find this package, which need not be installed, after all others."""
    sys.path.append(str(Path(__file__).parents[2]))
    try:
        yield
    finally:
        del sys.path[-1]


def _work(
    request: Request, job: int | None, connection: Connection | None, channel: TextIO | None = None
) -> None:
    """Do jobs, and end the process."""
    if channel:
        channel.close()
    while job is not None:
        _do(request, job)
        job = _next(job, connection)
    os._exit(0)  # threads and exit handlers of the job's code do not delay the others


def _next(job: int, connection: Connection | None) -> int | None:
    """The number of the job after one that has ended, whose memory is freed."""
    if connection is None:
        return None
    connection.send(job)
    gc.collect()
    following: int | None = connection.recv()
    return following


def _do(request: Request, job: int) -> None:
    """Do one job, and write its answer."""
    printed = os.open(request.folder / f"{job}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    sys.stdout = sys.stderr
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")  # as the file of the job is read
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environ)
    if request.path is not None:
        sys.path[:] = request.path
    run: Job = pickle.loads(request.jobs[job])  # noqa: S301 (our own parent process sends it)
    answer = json.dumps(run())
    try:
        (request.folder / f"{job}.json").write_text(answer, encoding="utf-8")
    except OSError:
        os._exit(UNWRITTEN)
    for stream in filter(None, (sys.__stdout__, sys.stderr)):
        with suppress(Exception):
            stream.flush()
