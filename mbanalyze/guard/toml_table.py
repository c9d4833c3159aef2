"""A TOML table that collects the mistakes in its values, so that one run reports all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mbanalyze.guard.limits import LimitError
from mbanalyze.guard.policy import PolicyError
from mbanalyze.inputs.choices import ChoiceError, nearest
from mbanalyze.inputs.parsing import ParseError
from mbanalyze.inputs.typed import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TomlTable:
    """A TOML table that collects the mistakes in its values, so that one run reports all of them.

    Attributes:
        where: dotted path of the table, "" for the root.
        values: values by key.
        problems: mistakes found so far, in the whole file.
    """

    where: str
    values: Mapping[str, Any]
    problems: list[str]

    def report(self, problem: object, key: str = "") -> None:
        """Record a mistake in the table, or in one of its values."""
        self.problems.append(": ".join(filter(None, [self._path(key), str(problem)])))

    def get(self, key: str, parse: Callable[[Any], T], default: T) -> T:
        """Return the parsed value of a key; `default` if the key is absent or its value is wrong."""
        return self._parse(key, self.values[key], parse, default) if key in self.values else default

    def get_list(
        self, key: str, parse: Callable[[Any], str], default: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Return the parsed elements of a list that are right; `default` if the key is absent."""
        given: Sequence[Any] = self.get(key, _parse_list, default)
        parsed = (self._parse(key, each, parse, None) for each in given)
        return tuple(each for each in parsed if each is not None)

    def get_each(self, known: Collection[str], parse: Callable[[str, Any], T]) -> dict[str, T]:
        """Return the parsed values of the known keys that are present and right."""
        self.check_keys(known)
        parsed = {key: self.get(key, partial(parse, key), None) for key in self.values if key in known}
        return {key: value for key, value in parsed.items() if value is not None}

    def table(self, key: str) -> TomlTable:
        """Return a nested table; an empty one if the key is absent or its value is wrong."""
        return TomlTable(self._path(key), self.get(key, _parse_table, {}), self.problems)

    def tables(self) -> dict[str, TomlTable]:
        """Return all values as nested tables."""
        return {key: self.table(key) for key in self.values}

    def check_keys(self, known: Collection[str]) -> None:
        """Record every key that is not one of `known`."""
        for key in self.values:
            if key not in known:
                similar = nearest(key, known, most=1)
                hint = f"did you mean {similar[0]}? " if similar else ""
                self.report(f"unknown key {key!r}: {hint}known keys are {', '.join(known)}")

    def _parse(self, key: str, value: Any, parse: Callable[[Any], T], default: T) -> T:
        try:
            return parse(value)
        except (PolicyError, ChoiceError, LimitError, ParseError, InputError) as error:
            self.report(error, key)
            return default

    def _path(self, key: str) -> str:
        return ".".join(filter(None, [self.where, key]))


def parse_text(given: Any) -> str:
    """Return `given` if it is a text that is not empty.

    Raises:
        PolicyError: it is something else.
    """
    text = _expect(str, "a text", given)
    if not text:
        raise PolicyError("expected a text that is not empty")
    return text


def parse_flag(given: Any) -> bool:
    """Return `given` if it is a boolean.

    Raises:
        PolicyError: it is something else.
    """
    return _expect(bool, "true or false", given)


def _parse_table(given: Any) -> Mapping[str, Any]:
    return _expect(dict, "a table", given)


def _parse_list(given: Any) -> Sequence[Any]:
    return _expect(list, "a list of texts in brackets", given)


def _expect(kind: type[T], expected: str, given: Any) -> T:
    if not isinstance(given, kind):
        raise PolicyError(f"expected {expected}, not {given!r}")
    return given
