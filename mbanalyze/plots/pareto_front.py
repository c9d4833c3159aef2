"""The plot of a search: cost against objective, with the Pareto front, the limits and the best variant."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline

from mbanalyze.inputs.plot_size import Size
from mbanalyze.ops.cost import Cost
from mbanalyze.plots import drawing
from mbanalyze.plots.accuracy_sources import mark_sources, source_notes
from mbanalyze.plots.frames import Data, as_frame, other_convention_of, positive_rows, require_columns
from mbanalyze.plots.labels import OFFSETS_AROUND, place_labels
from mbanalyze.plots.legends import legend_above, legend_entry
from mbanalyze.plots.search_limits import draw_limit_lines, draw_limits, near_limits
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.titles import title_of
from mbanalyze.plots.variant_options import spelled
from mbanalyze.sweep.best_variants import Search
from mbanalyze.sweep.candidates import SIZE_OPTIONS
from mbanalyze.sweep.objectives import MINIMISED

Styles = dict[str, tuple[str, str]]
"""Model -> its colour and marker."""

LABEL = "(label)"
"""The column of labels, which no frame has."""


def pareto(
    data: Data,
    ax: Axes | None = None,
    *,
    cost: str | None = None,
    objective: str | None = None,
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot networks by cost and objective; the Pareto front is filled, joined by a line, and labelled.

    No other network has both a cost as low and an objective as high as one on the front.
    If the objective is `predicted_ms`, lower is better.
    Points with `front` in the frame are filled too: a search can minimise several costs.
    A label is the model with its alpha and resolution, and its `options` if other variants have the same two.
    If not all labels fit, they leave out the model, and those without room are omitted.
    With more models than colours, models without a point on the front are grey.
    Rows without a positive cost and objective are left out, and a note gives their number.

    A search also shows its limits, the variants just above a limit, and a ring around its best variant.

    Args:
        data: a frame or a search.
        ax: the axes.
        cost: a column; by default the first cost of a search, else macs, or params if the objective is macs.
        objective: a column; by default the one that ranks a search, else top1.
        size: width and height of a new figure, in inches.
        title: the title; by default the family and the limits of a search.

    Raises:
        PlotError: no row remains, a column is missing, or cost and objective are equal.
        PlotSizeError: the size is out of range.
    """
    search = data if isinstance(data, Search) else None
    objective = objective or (search.ranked_by if search else "top1")
    cost = cost or _usual_cost(search, objective)
    if cost == objective:
        raise drawing.PlotError(f"cost and objective are both {cost}: choose two")
    frame = search.considered if search else as_frame(data)
    require_columns(frame, "model")
    known = positive_rows(frame, cost, objective)
    rows = known[known["fits"].astype(bool)] if search else known
    edge = _edge(rows, cost, objective)
    front = _front(rows, edge)
    styles, named = _styles(rows["model"], rows["model"][front])
    ax = drawing.get_axes(ax, size)
    drawing.note(
        ax,
        [
            unranked(data, objective),
            *source_notes(rows, objective),
            _own_metric(search, objective),
            _key(rows),
        ],
    )
    _draw_points(ax, rows[["model", cost, objective]], front, styles)
    entries = _legend_entries(styles, named)
    (line,) = ax.plot(edge[cost], edge[objective], color="0.3", linewidth=1, zorder=1, gid="front")
    entries += _front_entries(search, cost, hollow=not front.all()) if len(rows) else []
    entries += mark_sources(ax, rows, cost, objective)
    over = near_limits(search, known, cost, objective) if search else known.iloc[:0]
    options = _options(frame)
    best = search.frame("front").index[:1].intersection(rows.index) if search else rows.index[:0]
    name = " ".join(f"{rows['model'][at]} {options[at]}" for at in best)
    entries += draw_limits(ax, search, cost, objective, over, name) if search else []
    ax.set(xscale="log", yscale="log" if objective in Cost().as_dict() else "linear")
    ax.margins(x=0.06, y=0.12)
    convention = other_convention_of(frame)
    drawing.style_axes(ax, drawing.axis_label(cost, convention), drawing.axis_label(objective, convention))
    limits = draw_limit_lines(ax, search, cost, objective) if search else []
    legend_above(ax, entries, title_of(data, title))
    set_ticks(ax, "x", known[cost])
    set_ticks(ax, "y", known[objective])
    # the best gets a label first, then points on the line from its flat end on
    others = rows[front].drop(edge.index).sort_values(cost, ascending=False).index
    order = list(dict.fromkeys([*best, *edge.index[::-1], *others]))
    points = pd.concat([rows, over])[[cost, objective]]
    labelled = rows.assign(**{LABEL: options[rows.index]})
    _label(ax, labelled, order, points, [line.get_path(), *limits])
    return ax


def unranked(data: Data, objective: str) -> str:
    """Return a sentence on the rows without an objective, which `pareto` does not draw; "" if there are none."""
    frame = as_frame(data)
    if objective not in frame or not (missing := int(frame[objective].isna().sum())):
        return ""
    rows = "fitting variants" if isinstance(data, Search) else "variants"
    reason = "no accuracy" if objective == "top1" else f"no {drawing.title(objective)}"
    return f"not drawn: {missing} of {len(frame)} {rows} ({reason})"


def _usual_cost(search: Search | None, objective: str) -> str:
    costs = [name for name in search.costs if name != objective] if search else []
    return next(iter(costs), "params" if objective == "macs" else "macs")


def _own_metric(search: Search | None, objective: str) -> str:
    """A sentence on an objective that is a metric of the user alone."""
    own = search.own.own if search and search.own else None
    return f"{objective}: {own.source}" if own and objective in own.metrics and objective != "top1" else ""


def _key(rows: pd.DataFrame) -> str:
    """A sentence that explains the labels."""
    names = [name for name in SIZE_OPTIONS if name in rows]
    return f"labels: {'/'.join(names)}" if names and len(rows) else ""


def _front(rows: pd.DataFrame, edge: pd.DataFrame) -> Any:
    """Booleans, true for rows on the front of the drawn cost or of all costs of a search."""
    front = rows.index.isin(edge.index)
    return front | rows["front"].astype(bool).to_numpy() if "front" in rows else front


def _draw_points(ax: Axes, rows: pd.DataFrame, front: Any, styles: Styles) -> None:
    """Draw each model in its style, filled on the front; the columns after the model are x and y."""
    points = rows.drop(columns="model")
    for model, style in styles.items():
        mine = rows["model"] == model
        _scatter(ax, points[~front & mine], style, f"{model}-behind", filled=False)
        _scatter(ax, points[front & mine], style, f"{model}-front", filled=True)


def _edge(rows: pd.DataFrame, cost: str, objective: str) -> pd.DataFrame:
    """The rows on the Pareto front of one cost, the cheapest first."""
    ordered = rows.sort_values([cost, objective], ascending=[True, objective in MINIMISED])
    gain = -ordered[objective] if objective in MINIMISED else ordered[objective]
    return ordered[gain > gain.cummax().shift(fill_value=-inf)]


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


def _legend_entries(styles: Styles, named: Sequence[str]) -> list[Line2D]:
    """An entry for each model with a colour, and one for all others."""
    entries = [legend_entry(str(model), color=styles[model][0], marker=styles[model][1]) for model in named]
    if len(named) < len(styles):
        entries.append(legend_entry("other", color="0.75", marker="o", markerfacecolor="white"))
    return entries


def _front_entries(search: Search | None, cost: str, *, hollow: bool) -> list[Line2D]:
    """Entries for filled and hollow points, and for the line."""
    several = search is not None and len(search.costs) > 1
    filled = (
        f"filled: front by {', '.join(map(_name, search.costs))}"
        if search and several
        else "filled: on the front"
    )
    entries = [legend_entry(filled, color="0.4", marker="o")]
    if hollow:
        entries.append(legend_entry("hollow: behind it", color="0.4", marker="o", markerfacecolor="white"))
    line = f"line: front by {_name(cost)}" if several else "Pareto front"
    return [*entries, legend_entry(line, color="0.3", linestyle="-", linewidth=1)]


def _name(cost: str) -> str:
    """The title of a cost, short for macs."""
    return cost if cost == "macs" else drawing.title(cost)


def _label(
    ax: Axes, rows: pd.DataFrame, order: list[Any], obstacles: pd.DataFrame, lines: Sequence[Outline]
) -> None:
    """Label the rows at `order` with models and options, or with options alone if not all labels fit."""
    points, options = rows.loc[order][[*obstacles]], rows[LABEL][order]
    names = [f"{model} {option}".strip() for model, option in zip(rows["model"][order], options, strict=True)]
    clear: dict[str, Any] = {"obstacles": obstacles, "lines": lines}
    if not place_labels(ax, points, names, OFFSETS_AROUND, all_or_none=True, **clear):
        place_labels(ax, points, list(options), OFFSETS_AROUND, **clear)


def _options(frame: pd.DataFrame) -> pd.Series[str]:
    """Alpha and resolution of each row, such as `0.5/160`, and its `options` if other rows have the same two."""
    rows = frame.reset_index(drop=True)
    columns = [column for column in SIZE_OPTIONS if column in rows]
    records = rows[columns].to_dict("records") if columns else [{}] * len(rows)
    texts = ["/".join(_size(value) for value in record.values() if not _unknown(value)) for record in records]
    found = pd.Series(texts, rows.index, dtype=object)
    if "options" not in rows:
        return found
    same = pd.DataFrame({"model": rows["model"], "text": found}).duplicated(keep=False)
    return found.mask(same, (found + " " + rows["options"]).str.strip())


def _size(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else spelled(value)


def _unknown(value: Any) -> bool:
    return not isinstance(value, str | tuple) and bool(pd.isna(value))
