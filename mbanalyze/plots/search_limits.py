"""The limits of a search in its plot: lines, the variants just above them, and the best variant."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline

from mbanalyze.plots import drawing
from mbanalyze.plots.legends import legend_entry
from mbanalyze.plots.titles import short
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.objectives import UNITS

NEAR = 2
"""Variants above a limit are drawn up to this multiple of the costs that are within."""
FAR = 10
"""A limit beyond this multiple of all drawn costs has no line."""

BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
"""The background of a label, which hides points."""


def near_limits(search: Search, rows: pd.DataFrame, cost: str, objective: str) -> pd.DataFrame:
    """Return the rows of variants above a limit, without those that are far above.

    Args:
        search: the search.
        rows: all variants that have a cost and an objective.
        cost: the column on the x-axis.
        objective: the column on the y-axis.
    """
    fits = rows["fits"].astype(bool)
    over, within = rows[~fits], rows[fits]
    for column in (cost, objective):
        if column in search.limits or column == cost:
            known = [search.limits.get(column, 0), *within[column]] if len(within) else list(over[column])
            reach = max(known) if len(within) else max(search.limits.get(column, 0), min(known, default=0))
            over = over[over[column] <= NEAR * reach]
    return over


def draw_limits(
    ax: Axes, search: Search, cost: str, objective: str, over: pd.DataFrame, name: str
) -> list[Line2D]:
    """Draw the variants above a limit and the best variant; return the entries of the legend.

    Args:
        ax: the axes.
        search: the search.
        cost: the column on the x-axis.
        objective: the column on the y-axis.
        over: the rows of the variants above a limit.
        name: the label of the best variant.
    """
    entries = []
    best = search.best
    if best and best[cost] and best[objective]:
        ax.scatter(
            best[cost], best[objective], 95, marker="o", linewidths=1.1, facecolors="none", edgecolors="black",
            zorder=4, gid="best",
        )  # fmt: skip
        entries.append(
            legend_entry(f"best: {name}", color="black", marker="o", markersize=7, markerfacecolor="none")
        )
    if len(over):
        ax.scatter(over[cost], over[objective], 14, "0.6", marker="x", linewidths=0.8, zorder=1, gid="over")
        entries.append(legend_entry("above a limit", color="0.6", marker="x"))
    return entries


def draw_limit_lines(ax: Axes, search: Search, cost: str, objective: str) -> list[Outline]:
    """Draw the limits of both axes as dotted lines with labels, and return the lines; call it after the scales are set.

    A limit far beyond all points has no line: it would compress the points.
    """
    lines = []
    for column, draw in ((cost, _vertical), (objective, _horizontal)):
        limit = search.limits.get(column)
        axis = ax.xaxis if column == cost else ax.yaxis
        if limit is not None and limit <= FAR * axis.get_data_interval()[1]:
            draw(ax, limit, f"limit: {short(limit, UNITS.get(column, ''))} {drawing.title(column)}")
            lines.append((column == cost, limit))
    return [
        Outline([(limit, y) for y in ax.get_ylim()] if vertical else [(x, limit) for x in ax.get_xlim()])
        for vertical, limit in lines
    ]


def _vertical(ax: Axes, limit: float, label: str) -> None:
    ax.axvline(limit, color="0.2", linestyle=":", linewidth=1.2, zorder=1, gid="limit-x")
    ax.annotate(
        label, (limit, 0), (2, 3), xycoords=("data", "axes fraction"), textcoords="offset points", rotation=90,
        ha="left", va="bottom", fontsize=drawing.SMALL - 1, gid="limit-x-label", bbox=BEHIND,
    )  # fmt: skip


def _horizontal(ax: Axes, limit: float, label: str) -> None:
    ax.axhline(limit, color="0.2", linestyle=":", linewidth=1.2, zorder=1, gid="limit-y")
    ax.annotate(
        label, (0, limit), (3, 2), xycoords=("axes fraction", "data"), textcoords="offset points", ha="left",
        va="bottom", fontsize=drawing.SMALL - 1, gid="limit-y-label", bbox=BEHIND,
    )  # fmt: skip
