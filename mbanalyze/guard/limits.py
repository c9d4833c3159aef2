"""How much is allowed: the most of a total, and by how much a count may grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from mbanalyze.archs.options import OptionError
from mbanalyze.cost import Cost
from mbanalyze.parsing import parse_count

Level = Literal["off", "warn", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
TOTALS = tuple(Cost().as_dict())
"""What a budget may limit."""
COUNTS = ("params", "macs", "flops", "activations", "memory_access", "memory_access_bytes")
"""What may not grow."""


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
    """

    percent: Decimal | None
    amount: int
    level: Level

    def allowed(self, before: int) -> int:
        """By how much a count may grow that was `before` in the whole model."""
        return self.amount if self.percent is None else int(before * self.percent / 100)


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
    """How much each of `COUNTS` may grow by `"0"`, `"1%"`, `"+2 M"`, or a table of these by count.

    Raises:
        OptionError: it is none of these.
    """
    if not isinstance(given, Mapping) or "max" in given:
        return {count: _growth(count, given, level) for count in COUNTS}
    for count in given:
        if count not in COUNTS:
            raise OptionError(f"nothing called {count!r} may grow: choose from {', '.join(COUNTS)}")
    return {count: _growth(count, tolerated, level) for count, tolerated in given.items()}


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
