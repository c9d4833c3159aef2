"""A forward without compilation, because compiled code hides its operators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mbanalyze.trace.surroundings.compiler_import import import_unrecorded
from mbanalyze.trace.surroundings.replacing import replaced
from mbanalyze.trace.torch_internals import COMPILER


@contextmanager
def run_eagerly(is_followed: Callable[[], bool]) -> Iterator[None]:
    """Let `torch.compile` return what it is given, and run what is compiled already as it was written.

    PyTorch's compiler is not imported, because this takes a second. In other threads, `torch.compile` compiles.
    The setting for compiled code is one for all threads.

    Args:
        is_followed: gives True in a thread of the trace.
    """
    with replaced(torch, "compile", _not_compiled, is_followed):
        if COMPILER in sys.modules:
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            with import_unrecorded():
                yield


def _not_compiled(model: Any = None, **_: Any) -> Any:
    """Stand for `torch.compile`, as a function and as a decorator."""
    return model if model is not None else _same


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`."""
    return function
