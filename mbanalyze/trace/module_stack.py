"""The paths of the modules whose forwards are running, to attribute each operator to a module."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class OtherThreadError(RuntimeError):
    """A module was called from a thread whose operators cannot be recorded."""


class ModuleStack:
    """The modules that are running, outermost first.

    Attributes:
        paths: their paths, after "" for the model itself.
        thread: the thread that runs the model.
        failed: the path of the innermost module whose forward raised, or None.
    """

    def __init__(self) -> None:
        self.paths = [""]
        self.thread = threading.get_ident()
        self.failed: str | None = None
        self._error: BaseException | None = None

    def tracked(self, forward: Callable[..., Any], path: str) -> Callable[..., Any]:
        """Return `forward` as a function that keeps `path` on the stack while it runs."""
        paths, thread = self.paths, self.thread

        def tracked_forward(*args: Any, **kwargs: Any) -> Any:
            """Run the forward, and note the module if it raises."""
            if threading.get_ident() != thread:
                raise OtherThreadError(
                    f"{path or 'the model'} runs in a thread of its own, which a trace cannot see"
                )
            paths.append(path)
            try:
                return forward(*args, **kwargs)
            except BaseException as error:
                if self._error is not error:
                    self._error, self.failed = error, path
                raise
            finally:
                paths.pop()

        tracked_forward.__wrapped__ = forward  # type: ignore[attr-defined]  # modules inspect signatures
        return tracked_forward
