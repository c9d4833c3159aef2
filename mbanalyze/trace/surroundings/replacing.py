"""Functions of PyTorch that a trace replaces, in its own threads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(
    module: Any, name: str, function: Callable[..., Any], is_followed: Callable[[], bool]
) -> Iterator[None]:
    """Replace a function of a module; a thread that is not of the trace calls the usual one.

    Args:
        module: the module, of which the function is an attribute.
        name: the name of the function.
        function: the function that the trace calls.
        is_followed: gives True in a thread of the trace.
    """
    usual = getattr(module, name)

    def chosen(*args: Any, **kwargs: Any) -> Any:
        """Call one of both functions."""
        return (function if is_followed() else usual)(*args, **kwargs)

    chosen.__name__, chosen.__wrapped__ = name, usual  # type: ignore[attr-defined]  # `functools.wraps` is slower
    setattr(module, name, chosen)
    try:
        yield
    finally:
        setattr(module, name, usual)
