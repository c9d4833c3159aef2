"""A snapshot of the attributes of modules. Most are empty dicts of hooks, and a network has thousands of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable
from itertools import chain, islice
from typing import Any

from torch import Tensor, nn

from mbanalyze.trace.restore.containers import clear, refill_dict
from mbanalyze.trace.restore.object_kinds import kind_of, namespace

_USUAL = tuple(nn.Module().__dict__)
_DICT: Any = namespace(nn.Module)["__dict__"]
_attributes: Callable[[Any], dict[str, Any]] = _DICT.__get__


class ModuleSnapshot:
    """The classes of modules, and the attributes that every module has.

    Attributes:
        tensors: their parameters and buffers.
        others: what they hold besides, and modules that lack some of these attributes.
        modules: the modules that this snapshot covers.
    """

    def __init__(self, modules: Collection[nn.Module]) -> None:
        self.tensors: list[Tensor] = []
        self.others: list[Any] = []
        self.modules: list[nn.Module] = []
        self._empty: list[Any] = []
        self._filled: list[dict[str, Any]] = []
        self._dicts: list[dict[str, Any]] = []
        unusual = set(filter(_is_unusual, set(map(type, modules))))
        for module in modules:
            attributes = _attributes(module)
            if type(module) in unusual or tuple(islice(attributes, len(_USUAL))) != _USUAL:
                self.others.append(module)
            else:
                self.modules.append(module)
                self._dicts.append(attributes)
                self._add(attributes)
        self.tensors = [tensor for tensor in self.tensors if tensor is not None]
        self._classes = list(map(type, self.modules))
        self._copies = [attributes.copy() for attributes in self._dicts]
        self._contents = [held.copy() for held in self._filled]

    def _add(self, attributes: dict[str, Any]) -> None:
        _, parameters, buffers, *hooks, children = islice(attributes.values(), len(_USUAL))
        if any(hooks):  # one of them is a flag
            self.others += hooks
        else:
            self._empty += hooks
        (self._filled if children else self._empty).append(children)
        if parameters:
            self._filled.append(parameters)
            self.tensors += parameters.values()
        else:
            self._empty.append(parameters)
        if buffers:
            self._filled.append(buffers)
            self.tensors += buffers.values()
        else:
            self._empty.append(buffers)
        if len(attributes) > len(_USUAL):
            self.others += islice(attributes.values(), len(_USUAL), None)

    def restore(self, attempt: Callable[..., None]) -> None:
        """Restore everything but what `others` hold."""
        if list(map(type, self.modules)) != self._classes:
            attempt(
                object.__setattr__,
                ((m, "__class__", c) for m, c in zip(self.modules, self._classes, strict=True)),
            )
        if not _same(map(_attributes, self.modules), self._dicts):
            attempt(_DICT.__set__, zip(self.modules, self._dicts, strict=True))
        attempt(clear, zip(filter(None, self._empty)))
        if not _have_same_items(self._dicts, self._copies):
            attempt(_refill, zip(self._dicts, self._copies, strict=True))
        if not _have_same_items(self._filled, self._contents):
            attempt(refill_dict, zip(self._filled, self._contents, strict=True))


def _refill(attributes: dict[str, Any], copy: dict[str, Any]) -> None:
    """Refill the dict of a module, which other threads may be reading."""
    while len(attributes) > len(copy):
        attributes.popitem()
    attributes.update(copy)
    if len(attributes) != len(copy) or next(reversed(attributes)) != next(reversed(copy)):
        refill_dict(attributes, copy)  # some were removed and set again, and are at the end


def _is_unusual(class_: type) -> bool:
    """True if instances of a class of modules have slots or are containers themselves."""
    kind = kind_of(class_)
    return kind is not None and bool(kind.slots or kind.base)


def _have_same_items(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    if list(map(len, a)) != list(map(len, b)):
        return False
    values = _same(chain.from_iterable(map(dict.values, a)), chain.from_iterable(map(dict.values, b)))
    return values and list(map(_last_key, a)) == list(map(_last_key, b))  # a new key is the last one


def _last_key(held: dict[str, Any]) -> str | None:
    return next(reversed(held), None)


def _same(a: Iterable[Any], b: Iterable[Any]) -> bool:
    return all(map(operator.is_, a, b))
