"""Processes that trace variants: they print on stderr, and Ctrl-C ends them without a traceback."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess


class _Worker(SpawnProcess):
    """A process that starts with SIGINT blocked: it holds the signal back until `_begin`."""

    def start(self) -> None:
        with _blocked_interrupts():
            super().start()


class _Context(SpawnContext):
    Process = _Worker


@contextlib.contextmanager
def executor(processes: int) -> Iterator[Executor | None]:
    """Yield processes that trace variants, or None if this process should trace them."""
    if processes <= 1:
        yield None
        return
    with ProcessPoolExecutor(processes, _Context(), _begin) as pool:  # torch's threads do not survive a fork
        try:
            yield pool
        except KeyboardInterrupt:
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


@contextlib.contextmanager
def _blocked_interrupts() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepare this process, before it imports the package of the variants."""
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
