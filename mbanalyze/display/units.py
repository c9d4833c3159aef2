"""Counts and times as text: with SI prefixes, in milliseconds, and as cells of a table."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log10

from mbanalyze.display.views import Cell


def si(count: int) -> str:
    """Format a count with four significant digits and an SI prefix: 300774272 -> '300.8 M'.

    Rounding precedes the choice of the prefix: 999999 -> '1.000 M'. A count below 1000 is exact.
    """
    if abs(count) < 1000:
        return str(count)
    for power, prefix in enumerate("kMGTPE", 1):  # noqa: B007 (the last prefix is returned)
        text = f"{count / 1000**power:#.4g}"
        if abs(float(text)) < 1000:
            break
    return f"{text.removesuffix('.')} {prefix}"


def si_bytes(count: int) -> str:
    """Format a number of bytes with four significant digits: 10545696 -> '10.55 MB'."""
    text = si(count)
    return f"{text}B" if " " in text else f"{text} B"


def count_cell(count: int | None, *, complete: bool = True, spell: Callable[[int], str] = si) -> Cell:
    """A count as a cell: '?' if unknown, marked '≥' if it is a lower bound; a short zero is empty.

    Args:
        count: the count.
        complete: False for a lower bound.
        spell: the short spelling.
    """
    if count is None:
        return Cell("?", "?")
    bound = "" if complete else "≥ "
    return Cell(f"{bound}{spell(count)}" if count or bound else "", f"{bound}{count:,}")


def ratio_cell(ratio: float | None) -> Cell:
    """A ratio as a cell, to two digits in short and three exactly; '?' if unknown."""
    return Cell("?", "?") if ratio is None else Cell(f"{ratio:.2f}", f"{ratio:.3f}")


def milliseconds(time: float) -> str:
    """Format a number of milliseconds with three significant digits: 0.01234 -> '0.0123', 1234.5 -> '1,230'.

    Digits after the sixth decimal, the nanoseconds, are left out.
    """
    rounded = float(f"{time:.3g}")
    decimals = min(6, max(0, 2 - floor(log10(rounded)))) if rounded else 0
    return f"{rounded:,.{decimals}f}"
