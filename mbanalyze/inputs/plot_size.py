"""The size of a plot: width and height in inches."""

from __future__ import annotations

import re

from mbanalyze.inputs.parsing import ParseError

Size = tuple[float, float]
"""Width and height of a figure, in inches."""

SMALLEST, LARGEST = (3.0, 2.5), (40.0, 40.0)
"""The sizes between which a plot is legible and fits into memory, in inches."""


class PlotSizeError(ParseError):
    """A size of a plot that is malformed or out of range."""


def parse_size(text: str) -> Size:
    """Parse WIDTHxHEIGHT in inches.

    >>> parse_size("8x5"), parse_size("3.5 x 2.5")
    ((8.0, 5.0), (3.5, 2.5))

    Raises:
        PlotSizeError: the text is malformed, or the size is out of range.
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*[xX×]\s*(\d+\.?\d*|\.\d+)\s*", text, re.ASCII)  # noqa: RUF001
    if not found:
        raise PlotSizeError(f"malformed size {text!r}: give width x height in inches, such as 8x5")
    return check_size((float(found[1]), float(found[2])))


def check_size(size: Size) -> Size:
    """Return `size` if a plot can have it.

    Raises:
        PlotSizeError: the size is not two numbers, or out of range.
    """
    try:
        width, height = map(float, size)
    except (TypeError, ValueError):
        raise PlotSizeError(
            f"malformed size {size!r}: give width and height in inches, such as (8, 5)"
        ) from None
    if not (SMALLEST[0] <= width <= LARGEST[0] and SMALLEST[1] <= height <= LARGEST[1]):
        limits = " to ".join(f"{w:g}x{h:g}" for w, h in (SMALLEST, LARGEST))
        raise PlotSizeError(f"a plot of {width:g}x{height:g} inches is out of range: give {limits}")
    return width, height
