"""The paths of the modules whose forwards are running, to attribute each operator to a module."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any


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
        self._error: BaseException | None = None

    def failed_in(self, path: str, error: BaseException) -> None:
        """Note the innermost module that an error left."""
        if self._error is not error:
            self._error, self.failed = error, path


def tracked(
    forward: Callable[..., Any],
    path: str,
    stack: ModuleStack,
    other: Callable[[str, Any], ModuleStack | None],
) -> Callable[..., Any]:
    """Return `forward` as a function that keeps `path` on the stack while it runs.

    Args:
        forward: the forward of a module.
        path: the path of the module.
        stack: the stack of the thread that runs the model.
        other: gives the stack of another thread, from `path` and the arguments; None if it is not of the trace.
    """
    thread = stack.thread

    def tracked_forward(*args: Any, **kwargs: Any) -> Any:
        """Run the forward."""
        current = stack if get_ident() == thread else other(path, (args, kwargs))
        if current is None:
            return forward(*args, **kwargs)
        current.paths.append(path)
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
