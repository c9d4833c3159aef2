"""The sources of accuracies: a mark over each point whose accuracy is not from the first source."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mbanalyze.plots import drawing
from mbanalyze.plots.legends import legend_entry

COLUMN = "accuracy_source"
"""The column with the source of each accuracy."""
YOURS = "yours"
"""The beginning of a source that is a file of the user."""
MARKS = ("+", "1", "2", "|", "_")
"""The marks of sources, which differ from all markers."""
MAX_LENGTH = 28
"""The largest number of characters of a source in a legend."""


def mark_sources(ax: Axes, rows: pd.DataFrame, cost: str, accuracy: str) -> list[Line2D]:
    """Mark points by the source of their accuracy; return the entries of the legend.

    Points of the source with the most rows have no mark, unless it is a file of the user.
    If there are more publications than marks, none of them has a mark.

    Args:
        ax: the axes.
        rows: the rows that are drawn.
        cost: the column on the x-axis.
        accuracy: the column on the y-axis.
    """
    if accuracy not in ("top1", "top5") or COLUMN not in rows:
        return []
    yours, published = _sources(rows)
    grouped = len(published) > len(MARKS) - len(yours)
    marks = dict(zip([*yours, *([] if grouped else published[1:])], MARKS, strict=False))
    for i, (source, mark) in enumerate(marks.items()):
        some = rows[rows[COLUMN] == source]
        ax.scatter(
            some[cost],
            some[accuracy],
            55,
            "black",
            marker=mark,
            linewidths=0.9,
            zorder=5,
            gid=f"source-{i + 1}",
        )
    return _entries(published, marks, grouped=grouped) if marks else []


def _sources(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The files of the user and the publications, those with the most rows first."""
    found = [str(source) for source in rows[COLUMN].dropna().value_counts().index]
    yours = [source for source in found if source.startswith(YOURS)]
    return yours, [source for source in found if source not in yours]


def _entries(published: list[str], marks: Mapping[str, str], *, grouped: bool) -> list[Line2D]:
    """An entry for the points without a mark, and one for each mark."""
    plain = f"{len(published)} published sources" if grouped else next(iter(published), "")
    entries = [legend_entry(_short(plain), color="0.5", marker="o")] if plain else []
    return entries + [
        legend_entry(_short(source), color="black", marker=mark, markersize=6)
        for source, mark in marks.items()
    ]


def source_notes(rows: pd.DataFrame, accuracy: str) -> list[str]:
    """Return a sentence on the publications of all accuracies, if these have no entries in the legend."""
    if accuracy not in ("top1", "top5") or COLUMN not in rows:
        return []
    yours, published = _sources(rows)
    if yours or not published or 1 < len(published) <= len(MARKS):
        return []
    text = published[0] if len(published) == 1 else f"{len(published)} published sources"
    return [f"{drawing.title(accuracy)}: {text}"]


def _short(source: str) -> str:
    return source if len(source) <= MAX_LENGTH else f"{source[: MAX_LENGTH - 1]}…"
