"""Limits: the largest allowed value of a total, and the allowed growth of a count."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, cast, get_args

from mbanalyze.comparison.parts import PREDICTED_MS
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.parsing import parse_count
from mbanalyze.ops.cost import Cost
from mbanalyze.report.accounts import PEAKS
from mbanalyze.report.network import TOTALS

Level = Literal["off", "warn", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
UNUSED_PARAMS = "unused_params"
"""The metric that counts learned scalars that the forward pass never reads; only a whole model has it."""
BUDGET_METRICS = (*TOTALS, UNUSED_PARAMS, PREDICTED_MS)
"""The metrics that a budget can limit. `PREDICTED_MS` follows from exact counts, so that the lock does not record it."""
LAYER_METRICS = (*Cost().as_dict(), PREDICTED_MS)
"""The metrics of a layer that a budget can limit."""
FRACTIONS = ("arithmetic_intensity", PREDICTED_MS)
"""The metrics that need not be whole numbers."""
LOCKED_METRICS = ("params", "macs", "flops", "activations", "memory_access", "memory_access_bytes")
"""The metrics that the lock records for each layer and each model, and whose growth is limited."""
EAGER_PEAK = "peak_bytes_eager"
"""The peak of memory in PyTorch. It depends on the version of PyTorch, so that the lock does not record it."""
LOCKED_PEAKS = tuple(metric for metric in PEAKS if metric != EAGER_PEAK)
"""The peaks of memory that the lock records: of a whole model, since those of its layers do not add up."""
GROWTH_METRICS = (*LOCKED_METRICS, UNUSED_PARAMS, *LOCKED_PEAKS)
"""The metrics of a whole model whose growth is limited; a lock of an earlier version has no peaks."""

LARGEST_COUNT = 10**100
"""The largest count of a lock or a policy; a larger one is no count of a network."""
LARGEST_PERCENT = 10**9
"""The largest allowed growth in per cent."""


class LimitError(ValueError):
    """A limit that is malformed."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The largest allowed value of a total.

    Attributes:
        maximum: in units of the total.
        level: consequence of exceeding it.
    """

    maximum: int | float
    level: Level


@dataclass(frozen=True, slots=True)
class Growth:
    """The allowed growth of a count.

    Attributes:
        percent: allowed growth relative to the whole model; None if `amount` is the limit.
        amount: allowed growth in units of the count.
        level: consequence of exceeding it.
        of_elements: True if `amount` is in elements although the count is in bytes.
    """

    percent: Decimal | None
    amount: int
    level: Level
    of_elements: bool = False

    def allowed(self, before: int, itemsize: int) -> int:
        """Return the allowed growth of a count.

        Args:
            before: previous count of the whole model.
            itemsize: bytes of one element.
        """
        if self.percent is not None:
            return int(before * self.percent / 100)
        return self.amount * (itemsize if self.of_elements else 1)


def is_bytes(metric: str) -> bool:
    """Return True for a metric in bytes."""
    return "bytes" in metric.split("_")


def parse_level(given: Any) -> Level:
    """Return `given` if it is a level.

    Raises:
        ChoiceError: `given` is not a level.
    """
    return cast("Level", choose("level", given, LEVELS))


def parse_budget(metric: str, given: Any, level: Level) -> Budget:
    """Parse the budget of a metric: `"20 M"`, `20000000`, `"5 ms"` or `{ max = "20 M", level = "warn" }`.

    Raises:
        LimitError, ParseError, ChoiceError: `given` is malformed.
    """
    text, level = _text_and_level(given, level)
    if metric in FRACTIONS:
        number = text.removesuffix("ms") if metric == PREDICTED_MS else text
        return Budget(float(_parse_number(number, LARGEST_COUNT)), level)
    return Budget(_parse_amount(metric, text), level)


def parse_headroom(given: str) -> Decimal:
    """Parse the headroom of budgets in per cent: `"5%"`.

    Raises:
        LimitError: `given` is malformed.
    """
    text = given.strip().removesuffix("%")
    if not _NUMBER.fullmatch(text.strip()) or Decimal(text) > LARGEST_PERCENT:
        raise LimitError(f"malformed headroom {given!r}: give a percentage, such as 5%")
    return Decimal(text)


def parse_growth(metric: str, given: Any, level: Level) -> Growth:
    """Parse the allowed growth of a metric: `"0"`, `"1%"`, `"+2 M"` or `{ max = "1%", level = "warn" }`.

    Raises:
        LimitError, ParseError, ChoiceError: `given` is malformed.
    """
    text, level = _text_and_level(given, level)
    text = text.removeprefix("+").strip()
    if text.endswith("%"):
        return Growth(_parse_number(text[:-1], LARGEST_PERCENT), 0, level)
    return Growth(None, _parse_amount(metric, text), level)


def parse_uniform_growth(given: Any, level: Level) -> dict[str, Growth]:
    """Parse one allowed growth for all of `GROWTH_METRICS`; an amount is in elements, also for bytes.

    Raises:
        LimitError, ParseError, ChoiceError: `given` is malformed.
    """
    growth = parse_growth("", given, level)
    of_bytes = replace(growth, of_elements=True)
    return {metric: of_bytes if is_bytes(metric) else growth for metric in GROWTH_METRICS}


def with_bytes(growth: Mapping[str, Growth]) -> dict[str, Growth]:
    """Return `growth`, with the limit of `memory_access` as the default for `memory_access_bytes`."""
    elements = growth.get("memory_access")
    default = {"memory_access_bytes": replace(elements, of_elements=True)} if elements else {}
    return {**default, **growth}


def _parse_amount(metric: str, text: str) -> int:
    amount = parse_count(text, of_bytes=is_bytes(metric), least=0)
    if amount > LARGEST_COUNT:
        raise LimitError("the count has more than 100 digits")
    return amount


def _parse_number(text: str, largest: int) -> Decimal:
    number = Decimal(text.strip()) if _NUMBER.fullmatch(text.strip()) else Decimal(-1)
    if not 0 <= number <= largest:
        raise LimitError(
            f"malformed number {text!r}: give a number from 0 to {Decimal(largest):.0e}, such as 1.5"
        )
    return number


_NUMBER = re.compile(r"(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?", re.IGNORECASE)


def _text_and_level(given: Any, level: Level) -> tuple[str, Level]:
    """The amount of a limit as text, and its level."""
    if isinstance(given, Mapping):
        if not {"max"} <= given.keys() <= {"max", "level"}:
            raise LimitError(f'expected a limit such as {{ max = "20 M", level = "warn" }}, not {given!r}')
        given, level = given["max"], parse_level(given.get("level", level))
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise LimitError(f"expected a number or a text such as '20 M', not {given!r}")
    return str(given), level
