"""Frames as input of plots: columns that must exist, as numbers."""

from __future__ import annotations

from math import inf, nan, prod, sqrt
from typing import Any

import pandas as pd

from mbanalyze.conventions.convention import Convention
from mbanalyze.conventions.convention_names import labelled
from mbanalyze.display.result import Result
from mbanalyze.plots.drawing import PlotError

Data = pd.DataFrame | Result
"""The input of a plot: a frame, or a result that has one."""


def as_frame(data: Data) -> pd.DataFrame:
    """Return `data`, or the frame of a result.

    Raises:
        PlotError: `data` is neither.
    """
    if isinstance(data, Result):
        return data.frame()
    if not isinstance(data, pd.DataFrame):
        raise PlotError(f"cannot draw {data!r}: give a result, such as count('mobilenet_v2'), or its frame")
    return data


def other_convention_of(frame: pd.DataFrame) -> Convention | None:
    """Return the convention whose macs a frame has; None for ours, or for several."""
    labels = set(frame["convention"].dropna()) if "convention" in frame else set()
    return labelled(str(labels.pop())) if len(labels) == 1 else None


def require_columns(frame: pd.DataFrame, *columns: str) -> None:
    """Raise `PlotError` for the first missing column."""
    for column in columns:
        if column not in frame:
            raise PlotError(f"the frame has no column {column!r}, only {', '.join(map(str, frame))}")


def numbers(frame: pd.DataFrame, column: str) -> pd.Series[float]:
    """Return a column as floats with index 0 to n - 1; unknown is NaN.

    A missing column `memory_access` is the sum of `reads` and `writes`.
    A resolution is the side of a square with its number of pixels.

    Raises:
        PlotError: the column is missing or not numeric.
    """
    if column == "memory_access" and column not in frame:
        return numbers(frame, "reads") + numbers(frame, "writes")
    require_columns(frame, column)
    values = frame[column].reset_index(drop=True)
    try:
        return (values.map(side) if column == "resolution" else values).astype("float64")
    except (TypeError, ValueError) as error:
        raise PlotError(f"column {column!r} is not numeric: {error}") from error


def side(resolution: Any) -> float:
    """Return the side of a square with the pixels of a resolution; NaN for None.

    >>> side(224), side("90x160"), side((90, 160))
    (224.0, 120.0, 120.0)
    """
    if resolution is None:
        return nan
    sides = resolution.split("x") if isinstance(resolution, str) else resolution
    return sqrt(prod(map(float, sides))) if isinstance(sides, list | tuple) else float(sides)


def positive_rows(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the rows with finite numbers above 0 in all `columns`, which logarithmic axes can show.

    The columns become floats, except resolutions that are not square; the index is the row's position in `frame`.

    Raises:
        PlotError: no row has them, or a column is missing or not numeric.
    """
    known = pd.DataFrame({column: numbers(frame, column) for column in columns})
    positive = ((known > 0) & (known < inf)).all(axis="columns")
    if "resolution" in known and frame["resolution"].dtype.kind not in "iuf":
        known = known.drop(columns="resolution")
    rows = frame.reset_index(drop=True).assign(**known)[positive]
    if rows.empty:
        raise PlotError(f"no row of the frame has {' and '.join(columns)}")
    return rows
