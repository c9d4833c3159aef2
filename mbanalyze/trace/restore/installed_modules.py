"""The global variables in which an installed module may cache something, found once."""

from __future__ import annotations

import dis
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from mbanalyze.trace.restore.object_kinds import kind_of, mro, namespace

_CACHED: dict[int, tuple[dict[str, Any], tuple[str, ...]]] = {}
"""The id of the variables of a module -> the variables, and the names that may hold a cache."""

_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]


def is_installed(module: dict[str, Any]) -> bool:
    """Return True if a package manager installed the file of a module."""
    file = module.get("__file__")
    return type(file) is str and ("site-packages" in file or "dist-packages" in file)


def cache_names(module: dict[str, Any]) -> tuple[str, ...]:
    """Return the names that the classes of modules in a file reach, and that hold something that can change."""
    if id(module) not in _CACHED:
        codes = _reached(module)
        stored = {name for code in codes for name in _stored(code)}
        read = {name for code in codes for name in code.co_names if name in module}
        _CACHED[id(module)] = module, tuple(stored | {name for name in read if _can_change(module[name])})
    return _CACHED[id(module)][1]


def all_code(code: CodeType) -> list[CodeType]:
    """Return the code of a function, and of those that it defines."""
    found = [code]
    for outer in found:
        found += [constant for constant in outer.co_consts if type(constant) is CodeType]
    return found


def _reached(module: dict[str, Any]) -> list[CodeType]:
    """The code of the methods of modules, and of the functions in the same file that it names."""
    classes = [
        value for value in module.values() if issubclass(type(value), type) and nn.Module in mro(value)
    ]
    own = [held for held in classes if namespace(held).get("__module__") == module.get("__name__")]
    left = [value for held in own for value in namespace(held).values()]
    found: dict[int, CodeType] = {}
    while left:
        function = left.pop()
        if type(function) is FunctionType and id(function.__code__) not in found:
            codes = all_code(function.__code__)
            found.update((id(code), code) for code in codes)
            left += [module[name] for code in codes for name in code.co_names if name in module]
    return list(found.values())


def _stored(code: CodeType) -> list[str]:
    if _STORE_GLOBAL not in code.co_code[::2]:
        return []
    return [step.argval for step in dis.get_instructions(code) if step.opcode == _STORE_GLOBAL]


def _can_change(value: Any) -> bool:
    kind = kind_of(type(value))
    return kind is not None and kind.role not in ("function", "class")
