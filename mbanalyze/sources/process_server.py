"""The process that starts a process for each job, from a state that no project's code has touched."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pkgutil import resolve_name
from typing import TextIO

from mbanalyze.report.network import versions
from mbanalyze.sources.job_process import TIMED_OUT, JobProcess, Request, start

TRACING = (
    "mbanalyze.trace.tracer",
    "mbanalyze.trace.forward_args",
    "mbanalyze.sources.skip_init",
)
"""The modules that every trace needs, torch among them."""
WAIT = 0.1
"""Seconds after which the end of a process is noticed even if its own children keep its pipes open."""


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


def load(name: str) -> None:
    """Import a module, `package.module`, or call its function, `package.module:function`."""
    found = resolve_name(name)
    if ":" in name:
        found()


def _preload(names: Sequence[str]) -> None:
    """Load what most jobs need and look up the version of torch, once for all of them."""
    for name in names:
        with suppress(Exception):  # the job that needs it says why it fails
            load(name)
    versions("torch")
    with suppress(Exception):
        sys.modules["torch"].set_num_threads(1)  # threads that wait for work take the time of other processes
    gc.freeze()  # a collection writes to the memory of all objects, which copies it


def _serve(request: Request, channel: TextIO) -> None:
    """Run all jobs, and write the number and exit code of each that ends.

    Raises:
        EOFError: the process that sent the request has ended.
    """
    waiting = list(range(len(request.jobs)))[::-1]
    running: list[JobProcess] = []
    stdin = [] if sys.platform == "win32" else [sys.stdin.fileno()]
    while waiting or any(process.job is not None for process in running):
        while waiting and len(running) < request.workers:
            running.append(start(request, waiting.pop(), channel))
        events = [event for process in running for event in process.events]
        if set(stdin) & set(wait([*stdin, *events], WAIT)):
            raise EOFError
        for process in list(running):
            for job, code in _ended(process, waiting, request.reuse):
                print(job, code, file=channel, flush=True)
            if process.job is None and process.has_exited:
                running.remove(process)
    for process in running:  # they have been told to end
        process.process.join()


def _ended(process: JobProcess, waiting: list[int], reuse: int) -> Iterator[tuple[int, int]]:
    """The number and exit code of each job that ended in a process, which gets its next job.

    A job that ends a process in which others ran before, which may be the cause, starts again in another one.
    """
    if process.job is not None and process.waits():
        yield process.job, 0
        process.send(waiting.pop() if waiting and process.done < reuse else None)
    code = process.exit_code()
    if code is None or process.job is None:
        return
    if process.done and code != TIMED_OUT:
        waiting.append(process.job)
    else:
        yield process.job, code
    process.job = None
