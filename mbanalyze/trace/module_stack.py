"""The paths of the modules whose forwards are running, to attribute each operator to a module."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

Forward = Callable[..., Any]
"""The forward of a module."""

Tracked = Callable[[Forward, str], Forward]
"""A function from a forward and the path of its module to a forward that a trace follows."""


class OtherThreadError(RuntimeError):
    """A module was called from a thread whose operators cannot be recorded."""


class ModuleStack:
    """The modules that are running in one thread, outermost first.

    Attributes:
        paths: their paths, after "" for the model itself.
        thread: the thread.
        failed: the path of the innermost module whose forward raised, or None.
        ran: the paths of the modules whose forwards have run.
    """

    def __init__(self, paths: list[str] | None = None) -> None:
        """Start with the modules `paths`, in this thread."""
        self.paths = paths or [""]
        self.thread = get_ident()
        self.failed: str | None = None
        self.ran: set[str] = set()
        self._error = 0

    def enter(self, path: str) -> None:
        """Note that a module starts to run."""
        self.paths.append(path)
        self._error = 0  # an earlier error was caught, and its address may be that of a later one

    def failed_in(self, path: str, error: BaseException) -> None:
        """Note the innermost module that an error left. The error is not kept, because it holds tensors."""
        if self._error != id(error):
            self._error, self.failed = id(error), path


def tracked_by(stack: ModuleStack, other: Callable[[str, Any], ModuleStack | None]) -> Tracked:
    """Return a function that makes forwards which keep the path of their module on the stack while they run.

    Args:
        stack: the stack of the thread that runs the model.
        other: gives the stack of another thread, from the path and the arguments; None if it is not of the trace.
    """
    thread = stack.thread

    def tracked(forward: Forward, path: str) -> Forward:
        """The forward of the module `path`."""

        def tracked_forward(*args: Any, **kwargs: Any) -> Any:
            """Run the forward."""
            current = stack if get_ident() == thread else other(path, (args, kwargs))
            if current is None:
                return forward(*args, **kwargs)
            current.enter(path)
            try:
                return forward(*args, **kwargs)
            except BaseException as error:
                current.failed_in(path, error)
                raise
            finally:
                current.paths.pop()
                current.ran.add(path)

        tracked_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
        return tracked_forward

    return tracked
