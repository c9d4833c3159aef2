"""An import of PyTorch's compiler during a trace, which may run operators that are not those of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from types import ModuleType

from mbanalyze.trace.surroundings.first_finder import loaded_by
from mbanalyze.trace.torch_internals import COMPILER, DisableTorchDispatch


@contextmanager
def import_unrecorded() -> Iterator[None]:
    """Inside the `with` block, no dispatch mode sees the operators that an import of the compiler runs.

    PyTorch 2.7 and older import it for `torch.cond`, and try every operator of tensors at its import.
    """
    with loaded_by(_Loader, COMPILER.__eq__):
        yield


class _Loader(SourceFileLoader):
    """Loads a module without dispatch modes."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of the module."""
        with DisableTorchDispatch():
            super().exec_module(module)
