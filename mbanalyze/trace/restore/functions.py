"""A snapshot of the state that functions and classes reach: closures, defaults, global variables and caches."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mbanalyze.trace.restore.keyed_state import contents_of, globals_of
from mbanalyze.trace.restore.object_kinds import CacheWrapper, is_library, is_of_user, library, mro, namespace
from mbanalyze.trace.restore.objects import ObjectSnapshot

_GLOBALS: Callable[[Any], dict[str, Any]] = namespace(ModuleType)["__dict__"].__get__
_CACHE_ATTRIBUTES: Callable[[Any], dict[str, Any]] = namespace(CacheWrapper)["__dict__"].__get__
_cache_info: Any = namespace(CacheWrapper)["cache_info"]
_clear_cache: Any = namespace(CacheWrapper)["cache_clear"]


class FunctionSnapshot(ObjectSnapshot):
    """The variables that the functions of a model can reach outside of it.

    Such a variable may be a cache, and a tensor of the trace in a cache breaks the next run. All of them are
    restored if the forward stored a tensor in one. Otherwise none is: a function may note what it saw.

    Followed are the names in the code of users' functions, from file to file. An installed package is left out
    unless it defines a class of the model.
    """

    def __init__(self, model: ObjectSnapshot) -> None:
        """Look into the functions and classes that a snapshot of a model found."""
        super().__init__(model.seen)
        self.classes = model.classes
        self.code += model.code
        self._packages = set(map(library, model.classes))
        self._modules: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._followed: dict[int, bool] = {}
        self._caches: list[tuple[Any, int]] = []
        while self.code:
            self._add_code(self.code.pop())
            self.add(())
        self.states += [globals_of(module, names) for module, names in self._modules.values()]

    def _add_code(self, code: Any) -> None:
        if type(code) is FunctionType:
            self._add_function(code)
        elif issubclass(type(code), type):
            self.add_classes(filter(is_of_user, mro(code)))
        else:
            self._add_cache(code)

    def _add_function(self, function: FunctionType) -> None:
        for cell in function.__closure__ or ():
            if id(cell) not in self.seen:
                self.seen[id(cell)] = cell
                self.add_state(contents_of(cell))
        self.enqueue((function.__defaults__, function.__kwdefaults__, function.__dict__))
        self._add_globals(function.__globals__, _names(function.__code__))

    def _add_globals(self, module: dict[str, Any], names: set[str]) -> None:
        """Look into the global variables of some names, and the same names in modules among them."""
        left = [module]
        while left:
            module = left.pop()
            if not self._is_followed(module):
                continue
            known = self._modules.setdefault(id(module), (module, set()))[1]
            added = names - known
            known |= added
            values = [module[name] for name in module.keys() & added]
            left += [_GLOBALS(value) for value in values if issubclass(type(value), ModuleType)]
            self.enqueue(values)

    def _is_followed(self, module: dict[str, Any]) -> bool:
        if id(module) not in self._followed:
            name, file = module.get("__name__"), module.get("__file__")
            installed = type(file) is str and ("site-packages" in file or "dist-packages" in file)
            of_model = type(name) is str and name.partition(".")[0] in self._packages
            self._followed[id(module)] = not is_library(name) and (of_model or not installed)
        return self._followed[id(module)]

    def _add_cache(self, cache: Any) -> None:
        """Keep the number of entries of a function with `lru_cache`, if a user wrote the function."""
        attributes = _CACHE_ATTRIBUTES(cache)
        self.enqueue(attributes.values())
        function = attributes.get("__wrapped__")
        if type(function) is FunctionType and self._is_followed(function.__globals__):
            self._caches.append((cache, _cache_info(cache).misses))

    def restore(self, attempt: Callable[..., None]) -> None:
        """Clear the caches that grew; restore the variables if the forward stored a tensor in one."""
        attempt(_clear_if_grown, self._caches)
        present = ObjectSnapshot(self.seen)
        present.add(self.stored())
        if present.tensors:
            super().restore(attempt)


def _clear_if_grown(cache: Any, misses: int) -> None:
    if _cache_info(cache).misses != misses:
        _clear_cache(cache)


def _names(code: CodeType) -> set[str]:
    """The names of global variables and attributes in a function and in those that it defines."""
    names: set[str] = set()
    left = [code]
    while left:
        code = left.pop()
        names.update(code.co_names)
        left += [constant for constant in code.co_consts if type(constant) is CodeType]
    return names
