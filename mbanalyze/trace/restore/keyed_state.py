"""Values that are read and written by key: the slots of an object, a class, a closure, a module's globals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from types import CellType
from typing import Any, NamedTuple

from mbanalyze.trace.restore.object_kinds import namespace

_MISSING = object()


class KeyedState(NamedTuple):
    """Values that are read and written by key, as they were.

    Attributes:
        read: return the present values; a key without value is left out.
        set: change the value of a key.
        delete: remove a key.
        saved: the values to restore.
    """

    read: Callable[[], dict[Any, Any]]
    set: Callable[[Any, Any], object]
    delete: Callable[[Any], object]
    saved: dict[Any, Any]

    def stored(self) -> list[Any]:
        """Return the present values that are not the saved ones."""
        return [value for key, value in self.read().items() if self.saved.get(key, _MISSING) is not value]

    def restore(self) -> None:
        """Restore the values that changed."""
        current = self.read()
        for key in current.keys() - self.saved.keys():
            self.delete(key)
        for key, value in self.saved.items():
            if current.get(key, _MISSING) is not value:
                self.set(key, value)


def slots_of(owner: Any, slots: tuple[Any, ...]) -> KeyedState:
    """Return the slots of an object; the keys are their descriptors."""

    def read() -> dict[Any, Any]:
        return {slot: value for slot in slots if (value := _get_slot(owner, slot)) is not _MISSING}

    return KeyedState(
        read, lambda slot, value: slot.__set__(owner, value), lambda slot: slot.__delete__(owner), read()
    )


def _get_slot(owner: Any, slot: Any) -> Any:
    try:
        return slot.__get__(owner)
    except AttributeError:
        return _MISSING


def attributes_of(class_: type) -> KeyedState:
    """Return the attributes of a class itself, without those that it inherits."""

    def read() -> dict[Any, Any]:
        return dict(namespace(class_))

    return KeyedState(read, partial(type.__setattr__, class_), partial(type.__delattr__, class_), read())


def contents_of(cell: CellType) -> KeyedState:
    """Return the value of a variable that a function closes over."""

    def read() -> dict[Any, Any]:
        try:
            return {"cell_contents": cell.cell_contents}
        except ValueError:
            return {}

    return KeyedState(read, partial(setattr, cell), partial(delattr, cell), read())


def globals_of(module: dict[str, Any], names: Iterable[str]) -> KeyedState:
    """Return some of the global variables of a module."""

    def read() -> dict[Any, Any]:
        return {name: module[name] for name in names if name in module}

    return KeyedState(read, module.__setitem__, module.__delitem__, read())
