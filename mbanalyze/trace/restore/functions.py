"""A snapshot of the state that functions and classes reach: closures, defaults, global variables and caches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from mbanalyze.trace.restore.installed_modules import all_code, cache_names, is_installed
from mbanalyze.trace.restore.keyed_state import contents_of, globals_of
from mbanalyze.trace.restore.object_kinds import CacheWrapper, is_library, is_of_user, mro, namespace
from mbanalyze.trace.restore.objects import ObjectSnapshot

_GLOBALS: Callable[[Any], dict[str, Any]] = namespace(ModuleType)["__dict__"].__get__
_CACHE_ATTRIBUTES: Callable[[Any], dict[str, Any]] = namespace(CacheWrapper)["__dict__"].__get__
_cache_info: Any = namespace(CacheWrapper)["cache_info"]
_clear_cache: Any = namespace(CacheWrapper)["cache_clear"]
_NO_VARIABLES = ((), ("__class__",))
"""The free variables of a function that shares no state: none, or the class that `super()` needs."""


class FunctionSnapshot(ObjectSnapshot):
    """The variables outside of a model that its functions can reach.

    Such a variable may be a cache, and a tensor of the trace in a cache breaks the next run. All variables are
    restored if the forward stored a tensor in one. Otherwise none is, because a function may note what it saw.

    The names in the code of users' functions are followed from file to file. Of installed packages, only the
    files that define classes of the model are looked at.
    """

    def __init__(self, model: ObjectSnapshot) -> None:
        """Look into the functions and classes that a snapshot of a model found."""
        super().__init__(model.seen)
        self.classes = model.classes
        self.code += model.code
        self._modules: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._followed: dict[int, bool] = {}
        self._caches: list[tuple[Any, int]] = []
        self._add_installed({namespace(class_).get("__module__") for class_ in model.classes})
        while self.code:
            self._add_code(self.code.pop())
            if self._queue:
                self.add(())
        self.states += [globals_of(module, names) for module, names in self._modules.values()]

    def _add_installed(self, names: set[Any]) -> None:
        for name in names & sys.modules.keys():
            module = _GLOBALS(sys.modules[name])
            if is_installed(module):
                held = cache_names(module)
                self._modules[id(module)] = module, set(held)
                self.enqueue([module[name] for name in held if name in module])

    def _add_code(self, code: Any) -> None:
        if type(code) is FunctionType:
            self._add_function(code)
        elif issubclass(type(code), type):
            self.add_classes(filter(is_of_user, mro(code)))
        else:
            self._add_cache(code)

    def _add_function(self, function: FunctionType) -> None:
        if function.__code__.co_freevars in _NO_VARIABLES and is_installed(function.__globals__):
            return
        for cell in function.__closure__ or ():
            if id(cell) not in self.seen:
                self.seen[id(cell)] = cell
                self.add_state(contents_of(cell))
        self.enqueue((function.__defaults__, function.__kwdefaults__, function.__dict__))
        names = {name for code in all_code(function.__code__) for name in code.co_names}
        self._add_globals(function.__globals__, names)

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
            of_user = not is_library(module.get("__name__")) and not is_installed(module)
            self._followed[id(module)] = of_user
        return self._followed[id(module)]

    def _add_cache(self, cache: Any) -> None:
        """Keep the number of entries of a function with `lru_cache`, if a user wrote the function."""
        attributes = _CACHE_ATTRIBUTES(cache)
        self.enqueue(attributes.values())
        function = attributes.get("__wrapped__")
        if type(function) is FunctionType and not is_library(function.__module__):
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
