"""A finder of modules that comes before all others, so that some modules are loaded in another way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType


class _Finder:
    """Finds some modules in their files, and gives them another loader."""

    def __init__(self, wanted: Callable[[str], bool], loader: type[SourceFileLoader]) -> None:
        """Take a test of a module's name, and the loader."""
        self._wanted = wanted
        self._loader = loader

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of these modules; None for all others."""
        spec = PathFinder.find_spec(name, path, target) if self._wanted(name) else None
        if spec and type(spec.loader) is SourceFileLoader:
            spec.loader = self._loader(name, spec.loader.path)
        return spec


@contextmanager
def loaded_by(loader: type[SourceFileLoader], wanted: Callable[[str], bool]) -> Iterator[None]:
    """Inside the `with` block, `loader` loads the modules whose name is `wanted`, if they are files of Python."""
    finder = _Finder(wanted, loader)
    # a list that another thread iterates over must not change
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [each for each in sys.meta_path if each is not finder]
