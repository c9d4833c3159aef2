"""The plot of costs against the options of a network."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mbanalyze.inputs.plot_size import Size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data, as_frame, other_convention_of, positive_rows, require_columns
from mbanalyze.plots.legends import legend_above, legend_entry
from mbanalyze.plots.ticks import set_ticks, set_ticks_at
from mbanalyze.plots.titles import title_of
from mbanalyze.plots.variant_options import is_numeric, places, settings, spelled, varying

LOOKS = (("-", True), ("--", False), (":", True))
"""The line and the filling of the markers of each count."""
WIDE = 8
"""The ratio of the largest to the smallest value from which the axis of an option is logarithmic."""

LONGEST = 24
"""The largest number of characters of a value at an axis."""


def costs(
    data: Data,
    ax: Axes | None = None,
    *,
    against: str | None = None,
    counts: Sequence[str] = ("macs", "params"),
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot counts against an option, with a series for each combination of the other options.

    Lines join the values of a numeric option; those of any other option have points alone.
    Rows without a positive count are left out. More series than there are styles are grey.

    Args:
        data: an ablation or its frame.
        ax: the axes.
        against: an option; by default the one with the most values, numeric ones first.
        counts: one to three columns.
        size: width and height of a new figure, in inches.
        title: the title; by default the model and its input.

    Raises:
        PlotError: a column is missing or empty, or no option varies.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data)
    rows = positive_rows(frame, *counts)
    names = varying(rows)
    if against is not None:
        require_columns(rows, against)
    elif not names:
        raise drawing.PlotError("no option varies between the rows of the frame")
    against = against or max(
        names, key=lambda name: (is_numeric(rows, name), len(set(map(repr, rows[name]))))
    )
    series = _series(rows, [name for name in names if name != against])
    styles = _styles(list(series))
    numeric = is_numeric(rows, against)
    at, labels = places(rows, against) if numeric else _categories(rows, against)
    ax = drawing.get_axes(ax, size)
    for i, (name, group) in enumerate(series.items()):
        group_at = at[group.index].sort_values(kind="stable")
        width = 4 + 3 * (1 - (i + 1) / len(series))  # equal series stay visible behind each other
        _draw(ax, name, group_at, group.loc[group_at.index, [*counts]], styles[name], width, joined=numeric)
    _style(ax, rows, against, at, counts)
    titles = [drawing.title(count, other_convention_of(rows)) for count in counts]
    legend_above(ax, _entries(titles, styles, numeric=numeric), title_of(data, title))
    _set_option_ticks(ax, at, labels, numeric=numeric)
    set_ticks(ax, "y", pd.concat([rows[count] for count in counts]))
    return ax


def _draw(
    ax: Axes,
    name: str,
    at: pd.Series[float],
    counts: pd.DataFrame,
    style: tuple[str, str],
    size: float,
    *,
    joined: bool,
) -> None:
    """Draw the counts of one series, joined by lines or as points."""
    color, marker = style
    for count, (line, filled) in zip(counts, LOOKS, strict=False):
        ax.plot(
            at, counts[count], linestyle=line if joined else "", color=color, marker=marker, markersize=size, linewidth=1,
            markerfacecolor=color if filled else "white", gid=f"{count}-{name}" if name else count,
        )  # fmt: skip


def _series(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The rows of each combination of options, by its spelling, such as `depth=2, act=relu`."""
    texts = [
        ", ".join(f"{name}={spelled(value)}" for name, value in zip(names, row, strict=True) if value != "")
        for row in settings(rows, names)
    ]
    grouped = rows.groupby(pd.Series(texts, rows.index, dtype=object), sort=False)
    return {str(name): group for name, group in grouped}


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The colour and marker of each series; those without a style of their own are grey."""
    styled = names if len(names) <= drawing.MAX_STYLES else names[: drawing.MAX_STYLES - 1]
    return dict.fromkeys(names, ("0.7", ".")) | drawing.styles(styled)


def _categories(rows: pd.DataFrame, name: str) -> tuple[pd.Series[float], dict[float, str]]:
    """The place of each row along an option that is not numeric, and the label of each place."""
    codes, known = pd.factorize(rows[name].map(spelled))
    return pd.Series(codes, rows.index, dtype=float), {float(i): str(text) for i, text in enumerate(known)}


def _entries(titles: Sequence[str], styles: dict[str, tuple[str, str]], *, numeric: bool) -> list[Line2D]:
    """An entry for each count by its title, and one for each series if there are several."""
    alone = len(styles) == 1
    color, marker = next(iter(styles.values())) if alone else ("0.4", "o")
    entries = [
        legend_entry(
            title, color=color, marker=marker, linestyle=line if numeric else "", linewidth=1,
            markerfacecolor=color if filled else "white",
        )
        for title, (line, filled) in zip(titles, LOOKS, strict=False)
    ]  # fmt: skip
    if alone:
        return entries
    named = {name: style for name, style in styles.items() if style[1] != "."}
    entries += [legend_entry(name, color=color, marker=marker) for name, (color, marker) in named.items()]
    if others := len(styles) - len(named):
        entries.append(legend_entry(f"{others} other combinations", color="0.7", marker="."))
    return entries


def _style(ax: Axes, rows: pd.DataFrame, against: str, at: pd.Series[float], counts: Sequence[str]) -> None:
    """Set the scales and the labels of the axes."""
    if is_numeric(rows, against) and at.min() > 0 and at.max() >= WIDE * at.min():
        ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(y=0.08)
    convention = other_convention_of(rows)
    label = ", ".join(drawing.axis_label(count, convention) for count in counts)
    drawing.style_axes(ax, drawing.axis_label(against), label)


def _set_option_ticks(ax: Axes, at: pd.Series[float], labels: dict[float, str], *, numeric: bool) -> None:
    """Set ticks at the values of an option: all of a category, turned if they are long, or those that fit."""
    if numeric:
        set_ticks_at(ax, "x", at, labels)
        return
    ax.set_xlim(-0.5, len(labels) - 0.5)
    texts = [textwrap.shorten(text, LONGEST, placeholder="…") for text in labels.values()]
    room = drawing.axis_length(ax, "x") / len(labels) / (drawing.CHARACTER * drawing.SMALL)
    turned = max(map(len, texts)) + 1 > room
    ax.set_xticks([*labels], texts, rotation=30 if turned else 0, ha="right" if turned else "center")
