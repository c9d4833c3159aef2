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
    More published sources than there are marks have no mark.

    Args:
        ax: the axes.
        rows: the rows that are drawn.
        cost: the column on the x-axis.
        accuracy: the column on the y-axis.
    """
    if accuracy not in ("top1", "top5") or COLUMN not in rows:
        return []
    counts = rows[COLUMN].dropna().value_counts()
    yours = [source for source in counts.index if str(source).startswith(YOURS)]
    published = [source for source in counts.index if source not in yours]
    if len(counts) < 2 and not yours:
        return []
    grouped = len(published) > len(MARKS) - len(yours)
    marked = [*yours, *([] if grouped else published[1:])]
    marks = dict(zip(marked, MARKS, strict=False))
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
    return _entries(published, marks, grouped=grouped)


def _entries(published: list[str], marks: Mapping[str, str], *, grouped: bool) -> list[Line2D]:
    """An entry for the points without a mark, and one for each mark."""
    plain = f"{len(published)} published sources" if grouped else next(iter(published), "")
    entries = [legend_entry(_short(plain), color="0.5", marker="o")] if plain else []
    return entries + [
        legend_entry(_short(source), color="black", marker=mark, markersize=6)
        for source, mark in marks.items()
    ]


def source_notes(rows: pd.DataFrame, accuracy: str) -> list[str]:
    """Return a sentence on the source of all accuracies, if it is one publication, which has no mark."""
    if accuracy not in ("top1", "top5") or COLUMN not in rows:
        return []
    sources = rows[COLUMN].dropna().unique()
    alone = len(sources) == 1 and not str(sources[0]).startswith(YOURS)
    return [f"{drawing.title(accuracy)}: {sources[0]}"] if alone else []


def _short(source: str) -> str:
    return source if len(source) <= MAX_LENGTH else f"{source[: MAX_LENGTH - 1]}…"
