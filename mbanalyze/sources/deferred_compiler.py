"""Imports of torchvision and timm that defer PyTorch's compiler, which takes a second to import."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

from mbanalyze.trace.surroundings.first_finder import loaded_by

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
    with loaded_by(_Loader, lambda name: name in REPLACED and COMPILER not in sys.modules):
        yield


class _Loader(SourceFileLoader):
    """Loads a module with its line in `REPLACED` replaced."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file; line numbers stay."""
        line, name = REPLACED[fullname]
        text = self.get_data(self.path).decode().replace(line, f"from {__name__} import {name}")
        return self.source_to_code(text.encode(), self.path)
