"""The parts of an object that a snapshot looks at, by its class; found without running code of the class."""

from __future__ import annotations

import random
import sys
import weakref
from collections.abc import Callable
from functools import lru_cache, partial
from types import (
    BuiltinMethodType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mbanalyze.trace.restore.containers import base_of

Role = Literal[
    "tensor", "module", "function", "class", "cache", "array", "generator", "reference", "holder", ""
]
"""The special treatment of an object, besides a look at its elements and attributes."""

mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
"""The classes that a class derives from, itself first; a metaclass cannot change the answer."""

namespace: Callable[[type], MappingProxyType[str, Any]] = type.__dict__["__dict__"].__get__
"""The attributes of a class itself."""

_module: Callable[[type], Any] = type.__dict__["__module__"].__get__

CacheWrapper: type = type(lru_cache(len))
"""The class of functions with `functools.lru_cache`."""

_ROLES: dict[type, Role] = {
    Tensor: "tensor",
    nn.Module: "module",
    FunctionType: "function",
    CacheWrapper: "cache",
    type: "class",
    torch.Generator: "generator",
    random.Random: "generator",
    weakref.ref: "reference",
    **dict.fromkeys((tuple, frozenset, MethodType, BuiltinMethodType, partial, MappingProxyType), "holder"),
    **dict.fromkeys((property, staticmethod, classmethod), "holder"),
}
_NUMPY_ROLES: dict[str, Role] = {"ndarray": "array", "Generator": "generator", "RandomState": "generator"}
_OPEN_LIBRARIES = frozenset({"_weakrefset", "argparse", "collections", "functools", "types", "weakref"})
_CLOSED_LIBRARIES = (frozenset(sys.stdlib_module_names) | {"numpy"}) - _OPEN_LIBRARIES
_NO_USERS = frozenset(sys.stdlib_module_names) | {"mbanalyze", "numpy", "torch"}


class ObjectKind(NamedTuple):
    """The parts of the instances of a class.

    Attributes:
        role: the part that needs special treatment.
        base: the container that it derives from, or None.
        attributes: a function from an instance to its `__dict__`, or None.
        slots: the descriptors of its `__slots__`.
        classes: the classes of users that it derives from.
    """

    role: Role
    base: type | None
    attributes: Callable[[Any], dict[str, Any]] | None
    slots: tuple[Any, ...]
    classes: tuple[type, ...]


_KINDS: weakref.WeakKeyDictionary[type, ObjectKind | None] = weakref.WeakKeyDictionary()


def kind_of(class_: type) -> ObjectKind | None:
    """Return the parts of the instances of a class; None if they have none that could change."""
    if class_ not in _KINDS:
        parents = mro(class_)
        role: Role = next(filter(None, map(_role, parents)), "")
        closed = library(class_) in _CLOSED_LIBRARIES
        kind = ObjectKind(
            role,
            base_of(class_),
            None if closed or role == "class" else _attributes(parents),
            () if closed else _slots(parents),
            tuple(filter(is_of_user, parents)),
        )
        _KINDS[class_] = None if issubclass(class_, ModuleType) or not any(kind) else kind
    return _KINDS[class_]


def library(class_: type) -> str:
    """Return the name of the package that defines a class."""
    module = _module(class_)
    return module.partition(".")[0] if type(module) is str else "builtins"


def is_of_user(class_: type) -> bool:
    """Return True if neither Python, NumPy, torch nor this package define the class."""
    return library(class_) not in _NO_USERS


def is_library(name: Any) -> bool:
    """Return True if Python, NumPy, torch or this package define the module of that name."""
    return type(name) is not str or name.partition(".")[0] in _NO_USERS


def _role(class_: type) -> Role:
    if class_ in _ROLES:
        return _ROLES[class_]
    if library(class_) == "numpy":
        return _NUMPY_ROLES.get(class_.__name__, "")
    return ""


def _attributes(parents: tuple[type, ...]) -> Callable[[Any], dict[str, Any]] | None:
    for parent in parents:
        descriptor: Any = namespace(parent).get("__dict__")
        if type(descriptor) in (GetSetDescriptorType, MemberDescriptorType):
            return descriptor.__get__  # type: ignore[no-any-return]
    return None


def _slots(parents: tuple[type, ...]) -> tuple[Any, ...]:
    held = (value for p in parents if "__slots__" in namespace(p) for value in namespace(p).values())
    return tuple(value for value in held if type(value) is MemberDescriptorType)
