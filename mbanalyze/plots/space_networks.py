"""A search in a space: the objective of each network against a limited total, with the limit and the front."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mbanalyze.inputs.plot_size import Size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import require_columns
from mbanalyze.plots.legends import legend_above, legend_entry
from mbanalyze.plots.search_limits import BEHIND
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.titles import short, title_of
from mbanalyze.spaces.objective import PROXY
from mbanalyze.spaces.space_result import SpaceSearch, Tried
from mbanalyze.sweep.objectives import UNITS

_USUAL = "peak_bytes_deployed"


def space(
    found: SpaceSearch,
    ax: Axes | None = None,
    *,
    cost: str | None = None,
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Draw each network that a search in a space tried: a total against the objective.

    Networks within all limits are dots, the others are crosses; the limit is a dotted line. The line of the front has
    the highest objective within each total. Networks without a value are not drawn.

    Args:
        found: the result of `search_space`.
        ax: axes; without them, a figure of `PAGE_SIZE` or `size`.
        cost: a total; by default the deployed peak if it is limited, else the first limited total, or params.
        size: width and height of a new figure, in inches.
        title: the title; by default the space and its limits.

    Raises:
        PlotError: no network has a value, or there is no such cost.
        PlotSizeError: the size is out of range.
    """
    cost = cost or (_USUAL if _USUAL in found.costs else found.costs[0])
    rows = found.frame("considered")
    require_columns(rows, cost)
    rows = rows[rows["value"].notna()].astype({"value": float, cost: float})
    if rows.empty:
        raise drawing.PlotError(f"no network has a value of {found.objective}: raise the limits, or try more")
    ax = drawing.get_axes(ax, size)
    drawing.note(ax, [PROXY] if found.objective == "macs" else [])
    fits = rows["fits"].astype(bool)
    colour = drawing.PALETTE[0]
    over, within = rows[~fits], rows[fits].sort_values([cost, "value"])
    entries = []
    if len(over):
        ax.scatter(over[cost], over["value"], 12, "0.6", marker="x", linewidths=0.7, zorder=1, gid="over")
        entries.append(legend_entry("above a limit", color="0.6", marker="x"))
    if len(within):
        ax.scatter(within[cost], within["value"], 12, colour, linewidths=0, zorder=2, gid="fits")
        edge = within[within["value"] > within["value"].cummax().shift(fill_value=float("-inf"))]
        ax.step(edge[cost], edge["value"], where="post", color="0.3", linewidth=1, zorder=2, gid="front")
        entries += [legend_entry("within all limits", color=colour, marker="o"), _front_entry()]
        entries.append(_draw_best(ax, found.fitting[0], cost))
    ax.set(xscale="log", yscale="log" if found.objective == "macs" else "linear")
    ax.margins(x=0.06, y=0.08)
    _draw_limit(ax, found, cost)
    label = drawing.axis_label("macs") if found.objective == "macs" else found.objective
    drawing.style_axes(ax, drawing.axis_label(cost), label)
    legend_above(ax, entries, title_of(found, title))
    set_ticks(ax, "x", rows[cost])
    set_ticks(ax, "y", rows["value"])
    return ax


def _front_entry() -> Line2D:
    return legend_entry("front", color="0.3", linestyle="-", linewidth=1)


def _draw_best(ax: Axes, best: Tried, cost: str) -> Line2D:
    """Draw a ring around the best network, and return its entry of the legend."""
    found, value = best.candidate, best.value
    assert value is not None
    ax.scatter(found.costs[cost], value, 95, facecolors="none", edgecolors="black", zorder=4, gid="best")
    sizes = [f"{name} {found.options[name]}" for name in ("alpha", "resolution") if name in found.options]
    text = f"best: {', '.join(sizes)}" if sizes else "best"
    return legend_entry(text, color="black", marker="o", markersize=7, markerfacecolor="none")


def _draw_limit(ax: Axes, found: SpaceSearch, cost: str) -> None:
    limit = found.limits.get(cost)
    if limit is None:
        return
    ax.axvline(limit, color="0.2", linestyle=":", linewidth=1.2, zorder=1, gid="limit-x")
    ax.annotate(
        f"limit: {short(limit, UNITS.get(cost, ''))}", (limit, 0), (2, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", rotation=90, ha="left", va="bottom", fontsize=drawing.SMALL - 1, bbox=BEHIND,
        gid="limit-x-label",
    )  # fmt: skip
