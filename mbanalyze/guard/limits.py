"""How much is allowed: the most of a total, and by how much a count may grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.parsing import parse_count
from mbanalyze.ops.cost import Cost

Level = Literal["off", "warn", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
UNUSED = "unused_params"
"""Learned scalars that the forward pass never reads; of a whole model only."""
TOTALS = (*Cost().as_dict(), UNUSED)
"""What a budget may limit."""
COUNTS = ("params", "macs", "flops", "activations", "memory_access", "memory_access_bytes")
"""What may not grow, of a layer and of the whole."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a total may be.

    Attributes:
        most: in units of the total.
        level: what it means to exceed it.
    """

    most: int | float
    level: Level


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much a count may grow.

    Attributes:
        percent: of what it was in the whole model; None where it is an amount.
        amount: in units of the count.
        level: what it means to grow more.
        of_elements: whether the amount is in elements where the count is in bytes.
    """

    percent: Decimal | None
    amount: int
    level: Level
    of_elements: bool = False

    def allowed(self, before: int, itemsize: int) -> int:
        """By how much a count may grow that was `before` in the whole model; elements have `itemsize` bytes."""
        if self.percent is not None:
            return int(before * self.percent / 100)
        return self.amount * (itemsize if self.of_elements else 1)


def budget(total: str, given: Any, level: Level) -> Budget:
    """What `"20 M"`, `20000000` or `{ max = "20 M", level = "warn" }` allows of a total.

    Raises:
        OptionError: it is none of these.
    """
    text, level = _leveled(given, level)
    if total == "arithmetic_intensity":
        return Budget(float(_number(text)), level)
    return Budget(parse_count(text, of_bytes=total.endswith("_bytes"), least=0), level)


def growths(given: Any, level: Level) -> dict[str, Growth]:
    """How much each of `COUNTS`, and `UNUSED`, may grow by `"0"`, `"1%"`, `"+2 M"`, or a table of these by count.

    Raises:
        OptionError: it is none of these.
    """
    known = (*COUNTS, UNUSED)
    if not isinstance(given, Mapping) or "max" in given:
        elements = _growth("", given, level)
        of_bytes = replace(elements, of_elements=True)
        return {count: of_bytes if count.endswith("_bytes") else elements for count in known}
    for count in given:
        if count not in known:
            raise OptionError(f"nothing called {count!r} may grow: choose from {', '.join(known)}")
    found = {count: _growth(count, tolerated, level) for count, tolerated in given.items()}
    if "memory_access" in found:  # which says how much bytes may grow, unless they have a word of their own
        found.setdefault("memory_access_bytes", replace(found["memory_access"], of_elements=True))
    return found


def _growth(count: str, given: Any, level: Level) -> Growth:
    text, level = _leveled(given, level)
    text = text.removeprefix("+").strip()
    if text.endswith("%"):
        return Growth(_number(text[:-1]), 0, level)
    return Growth(None, parse_count(text, of_bytes=count.endswith("_bytes"), least=0), level)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal(-1)
    if not (number.is_finite() and number >= 0):
        raise OptionError(f"malformed number {text!r}: give one that is not below 0, such as 1.5")
    return number


def _leveled(given: Any, level: Level) -> tuple[str, Level]:
    """The amount of a limit as text, and its level."""
    if isinstance(given, Mapping):
        unknown = given.keys() - {"max", "level"}
        if unknown or "max" not in given:
            raise OptionError(
                f'a limit is an amount or {{ max = "20 M", level = "warn" }}, not {dict(given)!r}'
            )
        given, level = given["max"], checked_level(given.get("level", level))
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise OptionError(f"a limit is a number or a text such as '20 M', not {given!r}")
    return str(given), level


def checked_level(given: Any) -> Level:
    """`given`, if it is a level.

    Raises:
        OptionError: it is not.
    """
    if given not in LEVELS:
        raise OptionError(f"level is one of {', '.join(LEVELS)}, not {given!r}")
    return given  # type: ignore[no-any-return]
