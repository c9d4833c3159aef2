"""An import of PyTorch's compiler during a trace, which may run operators that are not those of the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from mbanalyze.trace.torch_internals import COMPILER, DisableTorchDispatch


@contextmanager
def import_unrecorded() -> Iterator[None]:
    """Inside the `with` block, no dispatch mode sees the operators that an import of the compiler runs.

    PyTorch 2.7 and older import it for `torch.cond`, and try every operator of tensors at its import.
    """
    finder = _Finder()
    # a list that another thread iterates over must not change
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [each for each in sys.meta_path if each is not finder]


class _Finder:
    """Finds the compiler in its file."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the compiler, and no other module."""
        spec = PathFinder.find_spec(name, path, target) if name == COMPILER else None
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module without dispatch modes."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of the module."""
        with DisableTorchDispatch():
            super().exec_module(module)
