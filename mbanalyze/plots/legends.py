"""Legends: above the axes in columns, or to the right in groups; and the title above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from mbanalyze.plots.drawing import CHARACTER, SMALL, axis_length, figure_of, room_right, set_title

LINE_HEIGHT = 1.4 * SMALL
"""Distance between the lines of a legend, in points."""


def legend_entry(text: str, **style: Any) -> Line2D:
    """Return an entry of a legend."""
    defaults: dict[str, Any] = {"linestyle": "", "markersize": 4.5}
    return Line2D([], [], label=text, **defaults | style)


def legend_right(ax: Axes, groups: Mapping[str, Sequence[Line2D]], title: str = "") -> None:
    """Add a title, and a legend to the right of the axes; its first group is thinned out to fit.

    Args:
        ax: the axes.
        groups: the entries of the legend under each heading.
        title: the title of the axes.
    """
    set_title(ax, title)
    figure_of(ax).draw_without_rendering()  # the layout makes room for the title
    groups = {heading: entries for heading, entries in groups.items() if entries}
    if not groups:
        return
    first, *others = groups
    rows = int(axis_length(ax, "y") / LINE_HEIGHT) - len(groups) - sum(len(groups[each]) for each in others)
    groups[first] = _thinned(groups[first], max(rows, 2))
    entries = [each for heading in groups for each in (legend_entry(heading), *groups[heading])]
    _legend(ax, entries, 1, "upper left", (1, 1))


def _thinned(entries: Sequence[Line2D], most: int) -> Sequence[Line2D]:
    """At most `most` entries at even distances, with the first and the last."""
    last = len(entries) - 1
    return entries if last < most else [entries[round(last * i / (most - 1))] for i in range(most)]


def legend_above(ax: Axes, entries: Sequence[Artist] | None = None, title: str = "") -> None:
    """Add a legend above the axes, in as many columns as fit, and a title above the legend."""
    entries = entries or ax.get_legend_handles_labels()[0]
    figure_of(ax).draw_without_rendering()  # the layout makes room for the labels of the axes
    legend = _legend(ax, entries, _columns(entries, room_right(ax)), "lower left", (0, 1))
    if title:
        height = legend.get_window_extent().height / figure_of(ax).dpi * 72
        set_title(ax, title, height + 5)
        figure_of(ax).draw_without_rendering()


def _columns(entries: Sequence[Artist], room: float) -> int:
    """The largest number of columns that fit into `room`, in points; a column is as wide as its longest entry."""
    widths = [(CHARACTER * len(str(entry.get_label())) + 3) * SMALL for entry in entries]
    for columns in range(len(entries), 1, -1):
        rows, longer = divmod(len(entries), columns)  # matplotlib gives the first columns one row more
        starts = [i * rows + min(i, longer) for i in range(columns + 1)]
        if sum(max(widths[start:end]) for start, end in pairwise(starts)) <= room:
            return columns
    return 1


def _legend(
    ax: Axes, entries: Sequence[Artist], columns: int, corner: Any, anchor: tuple[int, int]
) -> Legend:
    legend = ax.legend(
        handles=entries, loc=corner, bbox_to_anchor=anchor, ncols=columns, fontsize=SMALL, frameon=False,
        handlelength=1.2, handletextpad=0.4, columnspacing=1, labelspacing=0.35, borderpad=0.2, borderaxespad=0.3,
    )  # fmt: skip
    figure_of(ax).draw_without_rendering()  # the layout shrinks the axes to their final size
    return legend
