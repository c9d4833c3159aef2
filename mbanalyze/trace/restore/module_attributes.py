"""A snapshot of the attributes of modules. Most are empty dicts of hooks, and a network has thousands of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain, islice, repeat
from typing import Any

from torch import Tensor, nn

from mbanalyze.trace.restore.containers import clear, refill_dict, same
from mbanalyze.trace.restore.object_kinds import kind_of, namespace

_USUAL = tuple(nn.Module().__dict__)
_DICT: Any = namespace(nn.Module)["__dict__"]
_attributes: Callable[[Any], dict[str, Any]] = _DICT.__get__


class ModuleSnapshot:
    """The classes of modules, and the attributes that every module has.

    Attributes are read for all modules together, because a loop over modules is slow.

    Attributes:
        tensors: their parameters and buffers.
        others: what they hold besides, and modules that lack some of these attributes.
        modules: the modules that this snapshot covers.
    """

    def __init__(self, modules: Collection[nn.Module]) -> None:
        self.modules, self.others = _divided(modules)
        self._classes = list(map(type, self.modules))
        self._dicts = list(map(_attributes, self.modules))
        values = list(map(dict.values, self._dicts))
        usual = list(islice(zip(*values), len(_USUAL)))  # noqa: B905 (what all of them have)
        _, parameters, buffers, *hooks, children = usual or [()] * len(_USUAL)
        used = list(filter(None, chain.from_iterable(hooks)))  # a flag is among them
        self.others += [*used, *chain.from_iterable(map(islice, values, repeat(len(_USUAL)), repeat(None)))]
        filled = list(filter(None, chain(parameters, buffers, children)))
        self._contents = _Contents([*self._dicts, *filled])
        self._containers = (parameters, buffers, children, *hooks)
        self._not_empty = set(map(id, chain(used, filled)))
        tensors = chain.from_iterable(map(dict.values, chain(parameters, buffers)))
        self.tensors: list[Tensor] = [tensor for tensor in tensors if tensor is not None]

    def restore(self, attempt: Callable[..., None]) -> None:
        """Restore everything but what `others` hold."""
        if list(map(type, self.modules)) != self._classes:
            attempt(
                object.__setattr__,
                ((m, "__class__", c) for m, c in zip(self.modules, self._classes, strict=True)),
            )
        if not same(map(_attributes, self.modules), self._dicts):
            attempt(_DICT.__set__, zip(self.modules, self._dicts, strict=True))
        filled = filter(None, chain.from_iterable(self._containers))
        attempt(clear, ((held,) for held in filled if id(held) not in self._not_empty))
        self._contents.restore(attempt)


class _Contents:
    """The contents of many dicts that are not empty."""

    def __init__(self, dicts: list[dict[str, Any]]) -> None:
        self._dicts = dicts
        self._names = list(map(tuple, dicts))
        self._values = list(chain.from_iterable(map(dict.values, dicts)))

    def restore(self, attempt: Callable[..., None]) -> None:
        """Refill the dicts if one of them has changed."""
        present = chain.from_iterable(map(dict.values, self._dicts))
        if list(map(tuple, self._dicts)) != self._names or not same(present, self._values):
            values = iter(self._values)
            contents = (dict(zip(names, islice(values, len(names)), strict=True)) for names in self._names)
            attempt(refill_dict, zip(self._dicts, contents, strict=True))


def _divided(modules: Collection[nn.Module]) -> tuple[list[nn.Module], list[Any]]:
    """The modules whose first attributes are those of every module, and other modules."""
    unusual = set(filter(_is_unusual, set(map(type, modules))))
    names: set[tuple[str, ...]] = set(map(tuple, map(_attributes, modules)))
    unordered = [some for some in names if some[: len(_USUAL)] != _USUAL]
    if not unusual and not unordered:
        return list(modules), []
    others = [m for m in modules if type(m) in unusual or tuple(_attributes(m)) in unordered]
    known = set(map(id, others))
    return [module for module in modules if id(module) not in known], others


def _is_unusual(class_: type) -> bool:
    """True if instances of a class of modules have slots or are containers themselves."""
    kind = kind_of(class_)
    return kind is not None and bool(kind.slots or kind.base)
