"""Copying, comparing and refilling containers without running the code of the classes that derive from them."""

from __future__ import annotations

import operator
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any

BASES: tuple[type, ...] = (OrderedDict, dict, list, set, deque, bytearray, array)
"""The mutable containers of Python; those that derive from others first."""


def base_of(kind: type) -> type | None:
    """Return the container that `kind` is or derives from, or None."""
    return next((base for base in BASES if issubclass(kind, base)), None)


def copied(base: Any, container: Any) -> Any:
    """Return a copy of the contents: a plain dict of a mapping, else a list, or bytes of a bytearray."""
    if base is OrderedDict:
        return dict(OrderedDict.items(container))
    if base is dict:
        return dict.copy(container)
    return bytes(container) if base is bytearray else list(base.__iter__(container))


def elements(base: Any, container: Any) -> Iterable[Any]:
    """Return the values of a mapping or the elements of another container."""
    if base in (bytearray, array):
        return ()
    found: Iterable[Any] = base.values(container) if issubclass(base, dict) else base.__iter__(container)
    return found


def is_unchanged(base: Any, container: Any, content: Any) -> bool:
    """Return True if the container has the same elements as `content`, in the same order."""
    if base.__len__(container) != len(content):
        return False
    if base in (bytearray, array):
        return bool(copied(base, container) == content)
    if issubclass(base, dict) and not same(base.values(container), content.values()):
        return False
    return same(base.__iter__(container), content)


def same(a: Iterable[Any], b: Iterable[Any]) -> bool:
    """Return True if two sequences of equal length hold the same objects; an element's own `==` is not asked."""
    return all(map(operator.is_, a, b))


def refill(base: Any, container: Any, content: Any) -> None:
    """Give the container the elements of `content`, in its order."""
    if base in (list, bytearray):
        base.__setitem__(container, slice(None), content)
    elif base is array:
        container[:] = array(container.typecode, content)
    elif base is dict:
        refill_dict(container, content)
    elif not is_unchanged(base, container, content):
        base.clear(container)
        if base is deque:
            deque.extend(container, content)
        elif base is set:
            set.update(container, content)
        else:
            for key, value in content.items():
                OrderedDict.__setitem__(container, key, value)


def refill_dict(container: dict[Any, Any], content: dict[Any, Any]) -> None:
    """Refill a dict that other threads may be reading: what is unchanged stays in place."""
    while dict.__len__(container) > len(content):
        dict.popitem(container)
    dict.update(container, content)
    if [*dict.__iter__(container)] != [*content]:
        dict.clear(container)
        dict.update(container, content)


def clear(container: Any) -> None:
    """Remove all elements of a container that is no instance of a user's class."""
    container.clear()
