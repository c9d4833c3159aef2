"""The threads of a forward: those that it starts, and those of pools that it gives work to."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mbanalyze.ops.record import Op, Role, Value
from mbanalyze.trace.module_stack import ModuleStack, OtherThreadError
from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.surroundings.autocast import Entered
from mbanalyze.trace.torch_internals import dispatch_modes, enter_mode, leave_mode, tree_leaves

_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")
_POOL_METHODS = ("apply_async", "map_async", "starmap_async", "map", "starmap", "imap", "imap_unordered")


class _Task(NamedTuple):
    """A task that the forward gave to another thread.

    Attributes:
        order: the number of the task.
        parent: the recorder of the thread that gave it.
        position: the number of operators that the parent had recorded.
        child: the recorder of the task.
    """

    order: int
    parent: Recorder
    position: int
    child: Recorder


class Threads:
    """The recorders of one trace: one for the thread of the model, and one for each task of another thread.

    The rows of a task stand where the forward started it.
    """

    def __init__(self, main: Recorder) -> None:
        """Start with the recorder of this thread."""
        self._main = main
        self.main_thread = threading.get_ident()
        self._recorders = {self.main_thread: main}
        self._children: list[_Task] = []
        self._order = itertools.count()
        self._lock = threading.RLock()
        self._pending = 0

    @property
    def running(self) -> bool:
        """True if a task has not ended."""
        return self._pending > 0

    def follows_this_thread(self) -> bool:
        """Return True if this thread records operators of the trace."""
        return threading.get_ident() in self._recorders

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing in this context, in which the thread of the model counts another module."""
        thread = threading.get_ident()
        recorder = self._recorders.pop(thread)
        recorder.lock = self._lock  # else a layer that both modules hold would record itself
        modes = [leave_mode() for _ in dispatch_modes()]
        try:
            yield
        finally:
            for mode in reversed(modes):
                enter_mode(mode)
            self._recorders[thread] = recorder

    def entered(self) -> Entered | None:
        """Return the autocast contexts that this thread has entered; None if it is not of the trace."""
        recorder = self._recorders.get(threading.get_ident())
        return recorder.entered if recorder else None

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

    def inherit(self, function: Callable[..., Any], *, once: bool) -> Callable[..., Any]:
        """Return `function` such that its operators are recorded in any thread, if this thread is of the trace.

        Args:
            function: the task.
            once: True if it is called once; a pool may call the function of a map any number of times.
        """
        parent = self._recorders.get(threading.get_ident())
        if parent is None:
            return function
        if parent.is_trial:
            raise parent.refuse(OtherThreadError("a branch that may not run uses a thread of its own"))
        paths, position, order = parent.module_stack.paths.copy(), len(parent.ops), next(self._order)
        parent.lock = self._lock
        self._pending += once
        waiting = [once]

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            """Run the function in a recorder of its own."""
            thread = threading.get_ident()
            with self._lock:
                child = parent.child(ModuleStack(paths.copy()), self._lock)
                self._children.append(_Task(order, parent, position, child))
                before, self._recorders[thread] = self._recorders.get(thread), child
                self._pending += 1
            try:
                with torch.inference_mode(), child:
                    return function(*args, **kwargs)
            finally:
                with self._lock:
                    self._pending -= 1 + sum(waiting)
                    waiting.clear()
                    self._recorders.pop(thread)
                    if before:
                        self._recorders[thread] = before

        return recorded

    def record(self, outputs: tuple[int, ...]) -> tuple[tuple[Op, ...], tuple[int, ...]]:
        """Return the operators of all threads, numbered in order of their rows, and the numbers of `outputs`."""
        if not self._children:
            return tuple(self._main.ops), outputs
        return _renumbered(self._merged(self._main), outputs, self._main.storages.inputs)

    def free(self) -> dict[str, int]:
        """Return how often each operator without cost ran in any thread."""
        return dict(sum((each.free for each in self._all()), Counter()))

    def branches(self) -> tuple[str, ...]:
        """Return the modules with a conditional operator whose costlier branch was recorded, in any thread."""
        return tuple(dict.fromkeys(path for each in self._all() for path in each.branches))

    def ran(self) -> set[str]:
        """Return the paths of the modules whose forwards have run, in any thread."""
        return {path for each in self._all() for path in each.module_stack.ran}

    def _all(self) -> list[Recorder]:
        return [self._main, *(task.child for task in self._children)]

    def _merged(self, recorder: Recorder) -> list[Op]:
        """The operators of a recorder and of the tasks that it started."""
        merged: list[Op] = []
        done = 0
        for task in sorted(self._children, key=lambda task: task.order):  # stable: calls of one task in order
            if task.parent is recorder:
                merged += [*recorder.ops[done : task.position], *self._merged(task.child)]
                done = task.position
        return merged + recorder.ops[done:]


def _renumbered(
    ops: list[Op], outputs: tuple[int, ...], inputs: Mapping[Role, int]
) -> tuple[tuple[Op, ...], tuple[int, ...]]:
    """Operators and outputs, with tensors numbered within their roles: the inputs, then others as they appear."""
    numbers = {role: {number: number for number in range(count)} for role, count in inputs.items()}

    def number(old: int, role: Role = "activation") -> int:
        """Return the number of a tensor."""
        return numbers[role].setdefault(old, len(numbers[role]))

    def value(old: Value) -> Value:
        """Return a value with its number."""
        return old._replace(number=number(old.number, old.role))

    renumbered = [
        op._replace(
            operands=tuple(map(value, op.operands)),
            overwrites=tuple(None if old is None else number(old) for old in op.overwrites),
            output=tuple(map(value, op.output)),
        )
        for op in ops
    ]
    return tuple(renumbered), tuple(map(number, outputs))


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

    def following_start(thread: threading.Thread) -> None:
        """Start the thread with a function that is recorded."""
        target = getattr(thread, "_target", None)
        if getattr(target, "__module__", None) not in _POOLS:
            run = threads.inherit(thread.run, once=True)
            if run != thread.run:
                thread.run = run  # type: ignore[method-assign]
        start(thread)

    return _like(start, following_start)


def _following_call(method: Callable[..., Any], threads: Threads) -> Callable[..., Any]:
    """A method of a pool that calls a function in another thread."""
    once = method.__name__ in ("submit", "apply_async")

    def following_call(pool: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method with a function that is recorded."""
        if args:
            args = threads.inherit(args[0], once=once), *args[1:]
        elif "func" in kwargs:
            kwargs["func"] = threads.inherit(kwargs["func"], once=once)
        return method(pool, *args, **kwargs)

    return _like(method, following_call)


def _like(method: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Give `function` the name and the signature of `method`; `functools.wraps` takes longer."""
    function.__name__, function.__wrapped__ = method.__name__, method  # type: ignore[attr-defined]
    return function
