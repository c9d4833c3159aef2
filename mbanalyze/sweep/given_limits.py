"""The limits of a search: the values that the user gives, and the variants within them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mbanalyze.inputs.parsing import ParseError, parse_count, parse_milliseconds
from mbanalyze.inputs.typed import is_whole
from mbanalyze.sweep.arrays import Array
from mbanalyze.sweep.candidates import SearchError
from mbanalyze.sweep.objectives import BYTES, LIMITS, limit_name
from mbanalyze.sweep.plain_columns import Columns

Limit = int | float | str
"""A limit as the user gives it: a whole number, or text such as `150M`; of bytes also `320 KB`; of ms any number."""
MAX_LIMIT = 10**100
"""The largest limit, above the count of any network; messages cannot show a larger one."""


def limits_of(*given: Limit | None) -> dict[str, int | float]:
    """Return the limits that are set, by total; `given` has the order of `LIMITS`.

    Raises:
        SearchError: a limit is not a number above 0, whole except for milliseconds, or exceeds `MAX_LIMIT`.
    """
    limits = {t: _limit(t, g) for t, g in zip(LIMITS, given, strict=True) if g is not None}
    for total, limit in limits.items():
        if limit > MAX_LIMIT:
            raise SearchError(
                f"{limit_name(total)} must be at most {MAX_LIMIT:.0e}: leave it out for no limit"
            )
    return limits


def _limit(total: str, given: Limit) -> int | float:
    """The limit of a total as a number, whole except for milliseconds."""
    name, of_bytes = limit_name(total), total in BYTES
    try:
        if total == "predicted_ms":
            return parse_milliseconds(str(given))
        if isinstance(given, str):
            return parse_count(given, of_bytes=of_bytes)
        whole = is_whole(given) or (isinstance(given, float | np.floating) and given.is_integer())
        if whole and given >= 1:
            return int(given)
    except ParseError as error:
        raise SearchError(f"{name}: {error}") from error
    example = "320e3 or '320 KB'" if of_bytes else "150e6 or '150M'"
    raise SearchError(f"{name} must be a whole number above 0, not {given!r}: give {example}")


def within(columns: Columns, limits: Mapping[str, int | float]) -> Array:
    """Return booleans, true for rows within all limits."""
    fits = np.ones(len(columns["params"]), dtype=bool)
    for total, limit in limits.items():
        fits &= (columns[total] <= limit).astype(bool)
    return fits
