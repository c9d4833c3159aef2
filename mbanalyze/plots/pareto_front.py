"""The plot of a search: cost against objective, with the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.path import Path as Outline

from mbanalyze.ops.cost import Cost
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data, as_frame, positive_rows, require_columns
from mbanalyze.plots.labels import OFFSETS_AROUND, place_labels


def pareto(data: Data, ax: Axes | None = None, *, cost: str | None = None, objective: str = "top1") -> Axes:
    """Plot networks by cost and objective; the Pareto front is filled, joined by a line, and labelled.

    No other network has both a cost as low and an objective as high as one on the front.
    Points with `front` in the frame are filled too: a search can minimise several costs.
    A label is the model with its alpha and resolution, and its `options` if these alone distinguish two points.
    If not all labels fit, they leave out the model, and those without room are omitted.
    With more models than colours, models without a point on the front are grey.
    Rows without a positive cost and objective are left out.

    Args:
        data: a frame or a search.
        ax: the axes.
        cost: a column; by default macs, or params if the objective is macs.
        objective: a column.

    Raises:
        PlotError: no row remains, a column is missing, or cost and objective are equal.
    """
    cost = cost or ("params" if objective == "macs" else "macs")
    if cost == objective:
        raise drawing.PlotError(f"cost and objective are both {cost}: choose two")
    frame = as_frame(data)
    require_columns(frame, "model")
    rows = positive_rows(frame, cost, objective)
    edge = _edge(rows, cost, objective)
    front = rows.index.isin(edge.index)
    if "front" in rows:
        front |= rows["front"].astype(bool).to_numpy()
    styles, named = _styles(rows["model"], rows["model"][front])
    ax = drawing.get_axes(ax)
    (line,) = ax.plot(edge[cost], edge[objective], color="0.3", linewidth=1, zorder=1, gid="front")
    for model, style in styles.items():
        mine = rows["model"] == model
        _scatter(ax, rows.loc[~front & mine, [cost, objective]], style, f"{model}-behind", filled=False)
        _scatter(ax, rows.loc[front & mine, [cost, objective]], style, f"{model}-front", filled=True)
    ax.set(xscale="log", yscale="log" if objective in Cost().as_dict() else "linear")
    ax.margins(y=0.12)
    drawing.style_axes(ax, drawing.axis_label(cost), drawing.axis_label(objective))
    drawing.legend_above(ax, _legend_entries(styles, named))
    drawing.set_ticks(ax, "x", rows[cost])
    drawing.set_ticks(ax, "y", rows[objective])
    # points on the line get labels first, from its flat end on
    order = [*edge.index[::-1], *rows[front].drop(edge.index).sort_values(cost, ascending=False).index]
    _label(ax, rows, order, [cost, objective], line.get_path())
    return ax


def _edge(rows: pd.DataFrame, cost: str, objective: str) -> pd.DataFrame:
    """The rows on the Pareto front of one cost, the cheapest first."""
    ordered = rows.sort_values([cost, objective], ascending=[True, False])
    return ordered[ordered[objective] > ordered[objective].cummax().shift(fill_value=-inf)]


Styles = dict[str, tuple[str, str]]
"""Model -> its colour and marker."""


def _styles(models: pd.Series[str], leading: pd.Series[str]) -> tuple[Styles, Sequence[str]]:
    """The style of each model, and the models with a colour: all, or those on the front if colours are too few."""
    known = list(models.unique())
    named = known if len(known) <= len(drawing.PALETTE) else list(leading.unique())
    grey = dict.fromkeys((model for model in known if model not in named), ("0.75", "o"))
    return grey | drawing.styles(named), named


def _scatter(ax: Axes, points: pd.DataFrame, style: tuple[str, str], gid: str, *, filled: bool) -> None:
    color, marker = style
    x, y = (points[column] for column in points)
    ax.scatter(
        x, y, 20, marker=marker, facecolors=color if filled else "white", edgecolors=color, linewidths=0.8,
        gid=gid, zorder=2 + filled,
    )  # fmt: skip


def _legend_entries(styles: Styles, named: Sequence[str]) -> list[Any]:
    """An entry for each model with a colour, one for all others, and one for the line."""
    entries = [
        drawing.legend_entry(str(model), color=styles[model][0], marker=styles[model][1]) for model in named
    ]
    if len(named) < len(styles):
        entries.append(drawing.legend_entry("other", color="0.75", marker="o", markerfacecolor="white"))
    return [*entries, drawing.legend_entry("Pareto front", color="0.3", linestyle="-", linewidth=1)]


def _label(ax: Axes, rows: pd.DataFrame, order: list[Any], columns: Sequence[str], line: Outline) -> None:
    """Label the rows at `order` with models and options, or with options alone if not all labels fit."""
    points, options = rows.loc[order][[*columns]], _options(rows)[order]
    names = [f"{model} {option}".strip() for model, option in zip(rows["model"][order], options, strict=True)]
    clear: dict[str, Any] = {"obstacles": rows[[*columns]], "lines": [line]}
    if not place_labels(ax, points, names, OFFSETS_AROUND, all_or_none=True, **clear):
        place_labels(ax, points, list(options), OFFSETS_AROUND, **clear)


def _options(rows: pd.DataFrame) -> pd.Series[str]:
    """Alpha and resolution of each row, such as `0.5/160`, and its `options` if other rows have the same two."""
    columns = [column for column in ("alpha", "resolution") if column in rows]
    records = rows[columns].to_dict("records") if columns else [{}] * len(rows)
    texts = ["/".join(f"{value:g}" for value in record.values() if pd.notna(value)) for record in records]
    found = pd.Series(texts, rows.index, dtype=object)
    if "options" not in rows:
        return found
    same = pd.DataFrame({"model": rows["model"], "text": found}).duplicated(keep=False)
    return found.mask(same, (found + " " + rows["options"]).str.strip())
