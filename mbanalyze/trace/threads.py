"""The threads of a forward: those that it starts, and those of pools that it gives work to."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from mbanalyze.ops.record import Op, Value
from mbanalyze.trace.module_stack import ModuleStack, OtherThreadError
from mbanalyze.trace.recorder import Recorder

_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")
_POOL_METHODS = ("apply_async", "map_async", "starmap_async", "map", "starmap", "imap", "imap_unordered")


class Threads:
    """The recorders of one trace: one for the thread of the model, and one for each piece of work of another.

    Work that another thread does has its rows where the forward started it.
    """

    def __init__(self, main: Recorder) -> None:
        """Start with the recorder of this thread."""
        self._main = main
        self._recorders = {threading.get_ident(): main}
        self._children: list[tuple[Recorder, int, Recorder]] = []
        self._lock = threading.RLock()
        self.running = 0

    def stack_of(self, path: str, arguments: Any) -> ModuleStack | None:
        """Return the modules that run in this thread; None if it only uses the model during the trace.

        Raises:
            OtherThreadError: a thread that cannot be followed runs a module on tensors of the trace.
        """
        recorder = self._recorders.get(threading.get_ident())
        if recorder:
            return recorder.module_stack
        storages = self._main.storages
        if any(isinstance(leaf, Tensor) and storages.knows(leaf) for leaf in tree_leaves(arguments)):
            message = f"{path or 'the model'} runs in a thread of its own, which a trace cannot see"
            raise self._main.refuse(OtherThreadError(message))
        return None

    def inherit(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` such that its operators are recorded in any thread, if this thread is of the trace."""
        parent = self._recorders.get(threading.get_ident())
        if parent is None:
            return function
        stack = ModuleStack(parent.module_stack.paths.copy())
        child = parent.child(stack, self._lock)
        self._children.append((parent, len(parent.ops), child))

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            """Run the function in a recorder of its own."""
            thread = threading.get_ident()
            before = self._recorders.get(thread)
            self._recorders[thread] = child
            self.running += 1
            try:
                with torch.inference_mode(), child:
                    return function(*args, **kwargs)
            finally:
                self.running -= 1
                self._recorders.pop(thread)
                if before:
                    self._recorders[thread] = before

        return recorded

    def ops(self) -> tuple[Op, ...]:
        """Return the operators of all threads, numbered in order of their rows."""
        if not self._children:
            return tuple(self._main.ops)
        return tuple(_renumbered(self._merged(self._main)))

    def free(self) -> dict[str, int]:
        """Return how often each operator without cost ran in any thread."""
        counted = [self._main.free, *(child.free for _, _, child in self._children)]
        return dict(sum(counted, Counter()))

    def _merged(self, recorder: Recorder) -> list[Op]:
        """The operators of a recorder and of the work that it started."""
        merged: list[Op] = []
        done = 0
        for parent, position, child in self._children:
            if parent is recorder:
                merged += [*recorder.ops[done:position], *self._merged(child)]
                done = position
        return merged + recorder.ops[done:]


def _renumbered(ops: list[Op]) -> Iterator[Op]:
    """The operators, with tensors numbered within their roles in order of first appearance."""
    numbers: dict[str, dict[int, int]] = {}

    def value(old: Value) -> Value:
        """Return a value with its number."""
        of_role = numbers.setdefault(old.role, {})
        return old._replace(number=of_role.setdefault(old.number, len(of_role)))

    for op in ops:
        operands = tuple(map(value, op.operands))
        yield replace(op, operands=operands, output=tuple(map(value, op.output)))


@contextmanager
def follow_threads(threads: Threads) -> Iterator[None]:
    """Record the work of the threads that a forward starts, and what it gives to pools of threads."""
    with ExitStack() as stack:
        stack.callback(setattr, threading.Thread, "start", threading.Thread.start)
        threading.Thread.start = _following_start(threading.Thread.start, threads)  # type: ignore[method-assign]
        for pool, names in (ThreadPoolExecutor, ("submit",)), (ThreadPool, _POOL_METHODS):
            for name in names:
                method = getattr(pool, name)
                own = name in vars(pool)
                stack.callback(*((setattr, pool, name, method) if own else (delattr, pool, name)))
                setattr(pool, name, _following_call(method, threads))
        yield


def _following_start(start: Callable[..., None], threads: Threads) -> Callable[..., None]:
    """A method that starts a thread; the workers of a pool are followed by their tasks instead."""

    @functools.wraps(start)
    def following_start(thread: threading.Thread) -> None:
        target = getattr(thread, "_target", None)
        if getattr(target, "__module__", None) not in _POOLS:
            run = threads.inherit(thread.run)
            if run != thread.run:
                thread.run = run  # type: ignore[method-assign]
        start(thread)

    return following_start


def _following_call(method: Callable[..., Any], threads: Threads) -> Callable[..., Any]:
    """A method of a pool that calls a function in another thread."""

    @functools.wraps(method)
    def following_call(pool: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return method(pool, threads.inherit(function), *args, **kwargs)

    return following_call
