"""Rows as plain columns; pandas, which takes long to load, makes a frame of them when one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mbanalyze.sweep.arrays import Array

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Array]
"""Arrays of equal length, by the name of their column; NaN and None are unknown."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of several grids, without repetitions.

    Attributes:
        parts: the rows of each grid, with the same columns.
        kept: the indices of the rows that stay, among those of all parts.
        more: further columns of these rows.
    """

    parts: Sequence[Columns]
    kept: Array
    more: Columns = field(default_factory=dict)

    @staticmethod
    def distinct(parts: Sequence[Columns], names: Sequence[str]) -> Rows:
        """Return the rows of all parts, and the first of those that agree in the columns `names`."""
        columns = [np.concatenate([part[name] for part in parts]) for name in names]
        return Rows(parts, _first_indices(columns))

    def with_columns(self, **columns: Array) -> Rows:
        """Return the same rows with further columns."""
        return replace(self, more={**self.more, **columns})

    def __len__(self) -> int:
        return len(self.kept)

    @cached_property
    def columns(self) -> Columns:
        """The columns of all rows."""
        first = self.parts[0]
        return {
            **{name: np.concatenate([part[name] for part in self.parts])[self.kept] for name in first},
            **self.more,
        }

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The same as a pandas DataFrame."""
        import pandas as pd

        rows = pd.concat([pd.DataFrame(part) for part in self.parts], ignore_index=True)
        return rows.iloc[self.kept].reset_index(drop=True).assign(**self.more)


def is_known(column: Array) -> Array:
    """Return booleans, true for numbers, false for NaN."""
    known: Array = column == column  # noqa: PLR0124 (NaN differs from itself)
    return known


def take(columns: Columns, rows: Any) -> Columns:
    """Return the columns of some rows, by their indices or a mask."""
    return {name: column[rows] for name, column in columns.items()}


def ranks(column: Array) -> Array:
    """Return an integer for each value of a column: equal values have equal ones, and larger values larger ones.

    Ranks compare integers of any size exactly.
    """
    return np.unique(column, return_inverse=True)[1].ravel()


def sorted_rows(columns: Columns, ascending: Mapping[str, bool]) -> Array:
    """Return the indices of the rows in order of some columns, the first of which counts most; ties keep their order.

    Args:
        columns: the rows.
        ascending: True for a column whose lowest value comes first, False for the highest.
    """
    keys = [ranks(columns[name]) * (1 if up else -1) for name, up in ascending.items()]
    return np.lexsort(keys[::-1])


def _first_indices(columns: Sequence[Array]) -> Array:
    """The index of the first of all rows that are equal, in increasing order."""
    numbers = np.stack([_numbers(column) for column in columns])
    order = np.lexsort(numbers)  # equal rows become neighbours, and keep their order
    ordered = numbers[:, order]
    differs = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    return np.sort(order[np.concatenate([[True], differs])])


def _numbers(column: Array) -> Array:
    """A number for each distinct value; texts and integers may be in one column."""
    if column.dtype != object:
        return ranks(column)
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in column])
