"""Jobs that run a project's code, each in a process of its own: no code changes the answer to another job."""

from __future__ import annotations

import atexit
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbanalyze.display.temporary import make_room, temporary_folder
from mbanalyze.inputs.documents import DocumentError, read_text
from mbanalyze.sources.job_process import TIMED_OUT, UNWRITTEN, Job, Request

MMAP_THRESHOLD = str(2**22)
"""Bytes of a block that glibc returns to the system once it is free, unless the user sets a threshold.

The default threshold grows with the largest block that was freed, and smaller blocks are kept.
"""
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
import mbanalyze
del sys.path[0]
from mbanalyze.sources.process_server import main
main()
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a job.

    Attributes:
        value: result of the job, as JSON has it.
        problem: reason why there is no result; "" if there is one.
    """

    value: Any = None
    problem: str = ""


_servers: dict[tuple[int, tuple[str, ...]], subprocess.Popen[bytes]] = {}
"""The running servers by the process that started them, which a fork copies, and their settings."""
_one_at_a_time = threading.Lock()
_threads: set[int] = set()
"""The thread that runs jobs, and those that wait."""


class NestedError(ValueError):
    """Jobs were given to processes by a callback of other jobs, which wait for it."""


@contextmanager
def _turn() -> Iterator[None]:
    """Let the jobs of one thread run at a time."""
    thread = threading.get_ident()
    if thread in _threads:
        raise NestedError("`progress` cannot count in processes: count after the call that reports to it")
    _threads.add(thread)
    try:
        with _one_at_a_time:
            yield
    finally:
        _threads.discard(thread)


def start_server(preload: Sequence[str] = (), *, keep_memory: bool = False) -> subprocess.Popen[bytes]:
    """Return the server that has imported some packages; start it if it does not run; arguments as for `answers`."""
    key = os.getpid(), (*preload, *(["keep memory"] if keep_memory else []))
    if key in _servers and _servers[key].poll() is not None:
        _stop(_servers.pop(key))
    if key not in _servers:
        command = [sys.executable, "-P", "-c", SERVER, str(Path(__file__).parents[2]), *preload]
        _servers[key] = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if sys.__stderr__ is None else None,  # it is None if it is closed
            env={**({} if keep_memory else {"MALLOC_MMAP_THRESHOLD_": MMAP_THRESHOLD}), **os.environ},
            # the terminal interrupts this process alone, which stops the server
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    return _servers[key]


def run_each(
    jobs: Sequence[Job],
    progress: Callable[[int], None],
    *,
    preload: Sequence[str] = (),
    path: Sequence[str] | None = None,
) -> list[Answer]:
    """Run each job in a process of its own, several at the same time, and return the answers in order.

    Everything that a job prints goes to stderr, in the order of the jobs.

    Args:
        jobs: jobs.
        progress: callback for the number of jobs that have ended.
        preload: packages to import, or `module:function` to call, before the processes start; no project's code.
        path: `sys.path` of the processes; by default that of a new Python.

    Raises:
        OutputError: no temporary folder can be written.
    """
    found: dict[int, Answer] = {}
    for index, answer in answers(jobs, preload=preload, path=path, show=True):
        found[index] = answer
        progress(len(found))
    return [found[index] for index in range(len(jobs))]


def answers(
    jobs: Sequence[Job],
    *,
    preload: Sequence[str] = (),
    path: Sequence[str] | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    reuse: int = 1,
    show: bool = False,
    keep_memory: bool = False,
) -> Iterator[tuple[int, Answer]]:
    """Run jobs as `run_each` does, and yield the number and answer of each job as soon as it ends.

    Jobs start in order. The processes end with the iterator.

    Args:
        jobs, preload, path: as for `run_each`.
        workers: largest number of processes at the same time; by default one per processor.
        time_limit: seconds after which a job is ended; None for no limit.
        reuse: largest number of jobs that a process runs, one after another. A job that ends a process in which
            others ran before starts again in another process.
        show: print on stderr what the jobs print, in the order of the jobs; else it is left out.
        keep_memory: let processes keep memory that is free. They are faster if they use it again.

    Raises:
        OutputError: no temporary folder can be written.
        NestedError: a callback of the jobs of this thread runs jobs.
        Exception: a job cannot be pickled.
    """
    if not jobs:
        return
    pickled = list(map(pickle.dumps, jobs))
    with _turn(), temporary_folder() as folder:
        most = min(workers or cpus(), len(jobs))
        request = Request(pickled, folder, Path.cwd(), dict(os.environ), path, most, time_limit, reuse)
        server = start_server(preload, keep_memory=keep_memory)
        left = set(range(len(jobs)))
        try:
            for index, code in _exchange(server, request, show=show):
                left.remove(index)
                yield index, _answer(folder / f"{index}.json", code, time_limit)
        except BaseException:
            _stop(server)
            raise
        if left:
            _stop(server)
        for index in sorted(left):
            yield index, Answer(problem="the process that starts the processes of models was ended")


def _exchange(server: subprocess.Popen[bytes], request: Request, *, show: bool) -> Iterator[tuple[int, int]]:
    """The number and exit code of each job that ended; not all of them if the server ended before."""
    assert server.stdin
    assert server.stdout
    ended: set[int] = set()
    shown = 0
    with suppress(BrokenPipeError):
        server.stdin.write(pickle.dumps(request))
        server.stdin.flush()
    try:
        while len(ended) < len(request.jobs) and (line := server.stdout.readline()):
            index, code = map(int, line.split())
            ended.add(index)
            while show and shown in ended:
                _show(request.folder / f"{shown}.txt")
                shown += 1
            yield index, code
    finally:  # after a failure, what came later than a job that still runs
        for index in sorted(ended) if show else []:
            if index >= shown:
                _show(request.folder / f"{index}.txt")


def _show(file: Path) -> None:
    """Print what a job printed."""
    with suppress(OSError), file.open(encoding="utf-8", errors="backslashreplace") as printed:
        if sys.stderr:  # it is None if it is closed
            shutil.copyfileobj(printed, sys.stderr)


def _answer(file: Path, code: int, time_limit: float | None) -> Answer:
    """The answer in a file, or the way in which the process of the job ended."""
    if code == TIMED_OUT:
        return Answer(problem=f"it took longer than {time_limit:g} s")
    if code < 0:
        hint = (
            ", perhaps because it needs too much memory" if -code == getattr(signal, "SIGKILL", None) else ""
        )
        return Answer(problem=f"its process was ended by {signal.Signals(-code).name}{hint}")
    if code == UNWRITTEN:
        return Answer(problem=f"the answer of its process could not be written: {make_room()}")
    if code or not file.exists():
        return Answer(problem=f"its code ended the process with exit code {code}")
    try:
        return Answer(json.loads(read_text(file)))
    except (OSError, DocumentError, ValueError, RecursionError) as error:
        return Answer(problem=f"its process gave an unreadable answer: {error}")


def cpus() -> int:
    """Return the number of processors that this process may use."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it started."""
    with suppress(OSError):
        if sys.platform == "win32":
            server.kill()
        else:
            os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    for stream in (server.stdin, server.stdout):
        with suppress(OSError):
            stream and stream.close()


@atexit.register
def _stop_all() -> None:
    for (process, _), server in _servers.items():
        if process == os.getpid():
            _stop(server)
