"""The calls in a project's source that make modules, recorded while a model is built."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

OURS = ("mbanalyze.sources.", "mbanalyze.guard.")
"""The packages that call a project's code: no code that calls them makes a layer."""


@dataclass(frozen=True, slots=True)
class ConstructorCall:
    """A call that made a module.

    Attributes:
        file: file name, as Python states it.
        line: line of the call, counted from 1.
        function: qualified name of the function that contains the call.
    """

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Construction:
    """The calls that made modules; a copy of a module has none.

    Attributes:
        calls: modules and their calls, by `id`.
    """

    calls: dict[int, tuple[weakref.ref[Module], ConstructorCall]] = field(default_factory=dict)

    def call_of(self, module: Module) -> ConstructorCall | None:
        """Return the innermost call in the project that made a module; None if none was recorded."""
        made, call = self.calls.get(id(module), (None, None))
        return call if made and made() is module else None  # another module may have had this id


@contextmanager
def recorded(in_project: Callable[[str], bool]) -> Iterator[Construction]:
    """Record the calls that make modules inside the `with` statement.

    Args:
        in_project: tells whether the project contains a file.
    """
    from mbanalyze.trace.tracer import Module

    construction = Construction()
    original: Any = Module.__init__

    @functools.wraps(original)
    def initialise(self: Module, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        call = _call(self, sys._getframe(1), in_project)  # noqa: SLF001 (walking frames is its documented use)
        if call:
            construction.calls[id(self)] = weakref.ref(self), call

    Module.__init__ = initialise  # type: ignore[method-assign]
    try:
        yield construction
    finally:
        if Module.__init__ is initialise:  # otherwise the project's code has replaced it
            Module.__init__ = original  # type: ignore[method-assign]


def _call(
    module: Module, frame: FrameType | None, in_project: Callable[[str], bool]
) -> ConstructorCall | None:
    """The innermost call in the project around the initialisation of a module.

    The `__init__` methods of the module's own classes are passed over, because a class is made by its caller.
    """
    while frame and not str(frame.f_globals.get("__name__")).startswith(OURS):
        code = frame.f_code
        if in_project(code.co_filename) and not _initialises(frame, module):
            return ConstructorCall(code.co_filename, frame.f_lineno, code.co_qualname)
        frame = frame.f_back
    return None


def _initialises(frame: FrameType, module: Module) -> bool:
    """True if a function was called with the module, as each `__init__` of its classes is."""
    names, rest, _, values = inspect.getargvalues(frame)
    given = [values.get(name) for name in names] + list(values.get(rest, ()) if rest else ())
    return any(each is module for each in given)
