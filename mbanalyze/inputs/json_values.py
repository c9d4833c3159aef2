"""Values of a JSON document, checked when they are read."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class RecordError(ValueError):
    """A value that is missing from a JSON document, or that it cannot have."""


def value_of(record: Mapping[str, object], key: str, kind: type[T]) -> T:
    """Return the value of a key.

    Raises:
        RecordError: the key is missing, or its value has another type.
    """
    return expect(kind, present(record, key), key)


def present(record: Mapping[str, object], key: str) -> object:
    """Return the value of a key, of any type.

    Raises:
        RecordError: the key is missing.
    """
    if key not in record:
        raise RecordError(f"key {key!r} is missing")
    return record[key]


def expect(kind: type[T], given: object, what: str) -> T:
    """Return `given` if it is of this very type: a boolean is no count.

    Raises:
        RecordError: it has another type.
    """
    if type(given) is not kind:
        raise RecordError(f"{what} is {reprlib.repr(given)}")
    return given


def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return a JSON object of distinct keys; a hook of `json.loads`.

    Raises:
        RecordError: a key occurs twice, which a merge without conflict markers can leave behind.
    """
    found = dict[str, object]()
    for key, value in pairs:
        if key in found:
            raise RecordError(f"duplicate key {reprlib.repr(key)}")
        found[key] = value
    return found


def is_newer(schema: str, name: str, number: int) -> bool:
    """Return True if `schema`, such as `mbanalyze.lock/2`, is schema `name` with a number above `number`."""
    found = re.fullmatch(f"{re.escape(name)}/([0-9]{{1,9}})", schema)
    return found is not None and int(found[1]) > number
