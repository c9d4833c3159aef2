"""A forward without compilation, because compiled code hides its operators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def run_eagerly() -> Iterator[None]:
    """Let `torch.compile` return what it is given, and run what is compiled already as it was written.

    PyTorch's compiler is not imported, because this takes a second.
    """
    compile_ = torch.compile
    torch.compile = _not_compiled
    try:
        if "torch._dynamo" in sys.modules:
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            yield
    finally:
        torch.compile = compile_


def _not_compiled(model: Any = None, **_: Any) -> Any:
    """Stand for `torch.compile`, as a function and as a decorator."""
    return model if model is not None else _same


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`."""
    return function
