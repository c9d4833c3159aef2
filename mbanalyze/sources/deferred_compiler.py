"""Imports of torchvision and timm that defer PyTorch's compiler, which takes a second to import."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

COMPILER = "torch._dynamo"
REPLACED = {
    "torchvision.ops.roi_align": (
        "from torch._dynamo.utils import is_compile_supported",
        "is_compile_supported",
    ),
    "timm.layers.typing": (
        'disable_compiler = getattr(getattr(torch, "compiler", None), "disable", None) or nullwrap',
        "disable_compiler",
    ),
}
"""The modules that import the compiler: the line that does, and the function of this file that it imports instead."""


def is_compile_supported(device_type: str) -> Any:
    """Stand for the function of torchvision's `roi_align`: import the compiler at the call."""
    from mbanalyze.trace import torch_internals

    return torch_internals.is_compile_supported(device_type)


def disable_compiler(fn: Callable[..., Any] | None = None, recursive: bool = True, **others: Any) -> Any:
    """Stand for `torch.compiler.disable`: while the compiler is not imported, it compiles no function.

    The arguments are those of that function; `others` change messages and wrappers only.
    """
    if fn is None:
        return functools.partial(disable_compiler, recursive=recursive, **others)
    from mbanalyze.trace.torch_internals import disable_dynamo

    disabled = disable_dynamo(fn, recursive)

    @functools.wraps(fn)
    def run(*inputs: Any, **keywords: Any) -> Any:
        return (disabled if COMPILER in sys.modules else fn)(*inputs, **keywords)

    return run


@contextmanager
def compiler_deferred() -> Iterator[None]:
    """Inside the `with` block, the modules in `REPLACED` do not import the compiler.

    Only the code of these modules differs: the compiler itself can be imported at any time, in any thread.
    """
    finder = _Finder()
    # a list that another thread iterates over must not change
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [each for each in sys.meta_path if each is not finder]


class _Finder:
    """Finds the modules in `REPLACED`, while the compiler is not imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of these in its file."""
        spec = (
            PathFinder.find_spec(name, path, target)
            if name in REPLACED and COMPILER not in sys.modules
            else None
        )
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module with its line in `REPLACED` replaced."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file; line numbers stay."""
        line, name = REPLACED[fullname]
        text = self.get_data(self.path).decode().replace(line, f"from {__name__} import {name}")
        return self.source_to_code(text.encode(), self.path)
