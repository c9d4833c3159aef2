"""The options of variants: their columns, their values as text, and their levels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import pandas as pd

from mbanalyze.plots.drawing import COLUMN_TITLES, MARKERS
from mbanalyze.plots.frames import numbers, side

SIZES = ("alpha", "rho", "resolution")
"""Options that scale a network."""


class Levels(NamedTuple):
    """Distinct values of one or several options, as numbers.

    Attributes:
        name: the options.
        numbers: the number of each row.
        labels: the label of each number, in order; "" without options.
    """

    name: str
    numbers: pd.Series[float]
    labels: dict[float, str]

    @property
    def fit(self) -> bool:
        """True if there is a marker for each level."""
        return len(self.labels) <= len(MARKERS)


def spelled(value: Any) -> str:
    """Return the value of an option as text: `0.5`, `160x224`, `true`."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def option_columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns before the first count."""
    return [str(name) for name in takewhile(lambda name: name not in COLUMN_TITLES, rows)]


def varying(rows: pd.DataFrame) -> list[str]:
    """Return the options that differ between rows: alpha, resolution, and the columns before the first count."""
    names = dict.fromkeys(["alpha", "resolution", *option_columns(rows)])
    known = [name for name in names if name in rows and (name != "rho" or "resolution" not in rows)]
    return [name for name in known if len(set(map(repr, rows[name]))) > 1]


def is_numeric(rows: pd.DataFrame, name: str) -> bool:
    """Return True if an option has numbers, or resolutions, as values."""
    return name == "resolution" or rows[name].dtype.kind in "iuf"


def settings(rows: pd.DataFrame, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Return the values of options in each row; empty tuples without options, which pandas 2 leaves out."""
    return zip(*(rows[name] for name in names), strict=True) if names else [()] * len(rows)


def levels(rows: pd.DataFrame, names: Sequence[str]) -> Levels:
    """Return the levels of options: the values of a numeric option, else an index for each combination."""
    name = ", ".join(names)
    if len(names) == 1 and rows[name].dtype.kind in "iuf":
        values = rows[name].astype(float)
        return Levels(name, values, {value: f"{value:g}" for value in sorted(values.unique())})
    texts = [", ".join(spelled(value) for value in row if value != "") for row in settings(rows, names)]
    if names == ["resolution"]:
        known = pd.Index(sorted(set(texts), key=lambda text: (side(text), text)))
        codes = known.get_indexer(pd.Index(texts))
    else:
        codes, known = pd.factorize(pd.Series(texts, dtype=object))
    return Levels(name, pd.Series(codes, rows.index, float), dict(enumerate(known)))


def places(rows: pd.DataFrame, name: str) -> tuple[pd.Series[float], dict[float, str]]:
    """Return the place of each row along a numeric option, and the label of each place."""
    at = pd.Series(numbers(rows, name).to_numpy(), rows.index)
    texts: dict[float, list[str]] = {}
    for place, value in sorted(zip(at, rows[name], strict=True), key=lambda pair: pair[0]):
        texts.setdefault(place, []).append(f"{value:.3g}" if isinstance(value, float) else spelled(value))
    return at, {place: ", ".join(dict.fromkeys(some)) for place, some in texts.items()}
