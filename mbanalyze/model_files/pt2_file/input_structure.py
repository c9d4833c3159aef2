"""The nesting of the arguments and results of a forward: tuples, lists and dicts, as the file describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LISTS = ("builtins.list", "collections.deque")


@dataclass(frozen=True, slots=True)
class Structure:
    """A container, or a value that is none.

    Attributes:
        kind: "leaf", "tuple", "list" or "dict"; any other container is a tuple.
        children: what a container holds.
        keys: the keys of a dict.
    """

    kind: str
    children: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()

    def __deepcopy__(self, _: Any) -> Structure:
        return self

    def flattened(self, value: Any) -> Iterator[Any]:
        """Yield the leaves of a value with this nesting.

        Raises:
            ValueError: the value has another nesting.
        """
        if self.kind == "leaf":
            yield value
            return
        held = [value[key] for key in self.keys] if self.kind == "dict" else [*value]
        if len(held) != len(self.children) or len(value) != len(held):
            raise ValueError(f"expected {len(self.children)} values, not {len(value)}")
        for child, each in zip(self.children, held, strict=True):
            yield from child.flattened(each)

    def built(self, leaves: Iterator[Any]) -> Any:
        """Return the value with these leaves."""
        if self.kind == "leaf":
            return next(leaves)
        held = [child.built(leaves) for child in self.children]
        if self.kind == "dict":
            return dict(zip(self.keys, held, strict=True))
        return held if self.kind == "list" else tuple(held)

    def count(self) -> int:
        """Return the number of leaves."""
        return 1 if self.kind == "leaf" else sum(child.count() for child in self.children)


LEAF = Structure("leaf")


def read_structure(text: str) -> Structure:
    """Return the nesting that a text describes.

    Raises:
        KeyError, TypeError, ValueError, RecursionError: it is malformed.
    """
    _, content = json.loads(text)
    return _read(content)


def of_arguments(places: int) -> Structure:
    """Return the nesting of a forward with this number of positional arguments."""
    return Structure("tuple", (Structure("tuple", (LEAF,) * places), Structure("dict")))


def _read(content: Mapping[str, Any]) -> Structure:
    if content["type"] is None:
        return LEAF
    children = tuple(map(_read, content["children_spec"]))
    if content["type"] in ("builtins.dict", "collections.OrderedDict", "collections.defaultdict"):
        return Structure("dict", children, _keys(content["context"]))
    return Structure("list" if content["type"] in _LISTS else "tuple", children)


def _keys(context: Any) -> tuple[Any, ...]:
    """The keys of a dict, which may be encoded several times."""
    keys = json.loads(context) if isinstance(context, str) else context
    if isinstance(keys, Mapping):
        return _keys(keys["dict_context"])
    if not isinstance(keys, Sequence) or not all(isinstance(key, str | int) for key in keys):
        raise ValueError("the keys of a dict are no names")
    return tuple(keys)
