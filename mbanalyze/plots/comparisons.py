"""The plot of a comparison: the totals of each model relative to the first."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from mbanalyze.comparison.comparison import Comparison
from mbanalyze.conventions.convention import Convention
from mbanalyze.display.records import one_line
from mbanalyze.display.units import significant
from mbanalyze.inputs.plot_size import Size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data, as_frame, numbers, other_convention_of, require_columns
from mbanalyze.plots.legends import legend_above
from mbanalyze.plots.titles import shapes, short, title_of

HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "oo")
"""The patterns of bars, which tell models apart in grey prints."""
LONGEST = 48
"""The largest number of characters of a model in the legend."""
SMALLEST_LETTERS = 3.5
"""The smallest legible size of letters, in points."""


def comparison(
    data: Data,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params", "activations", "memory_access", "peak_bytes"),
    size: Size | None = None,
    title: str | None = None,
) -> Axes:
    """Plot the totals of each model in per cent of the first model's, with the totals beside the bars.

    A total without a ratio has no bar: it or the first model's is zero, unknown or a lower bound.

    Args:
        data: a comparison or its frame of totals.
        ax: the axes.
        counts: the totals to show.
        size: width and height of a new figure, in inches.
        title: the title; by default the first model, and the input if all models have the same.

    Raises:
        PlotError: a column is missing, no total has a ratio, or there are more models than styles.
        PlotSizeError: the size is out of range.
    """
    frame = as_frame(data).reset_index(drop=True)
    require_columns(frame, "model")
    ratios = pd.DataFrame({count: 100 * numbers(frame, f"{count}_ratio") for count in counts})
    totals = pd.DataFrame({count: numbers(frame, count) for count in counts})
    if ratios.isna().all(axis=None):
        raise drawing.PlotError(f"no model has known {', '.join(counts)} to compare with the first")
    styles = drawing.styles(frame.index)
    names = _names(data, frame)
    ax = drawing.get_axes(ax, size)
    drawing.note(ax, [_missing(ratios)])
    height = 0.84 / len(frame)
    groups = []
    for i, (color, _) in styles.items():
        centers = [row + (i - (len(frame) - 1) / 2) * height for row in range(len(counts))]
        bars = ax.barh(
            centers, ratios.loc[i].fillna(0), height, color=color, edgecolor="white", linewidth=0.5,
            hatch=HATCHES[i % len(HATCHES)], label=names[i], gid=f"model-{i + 1}",
        )  # fmt: skip
        groups.append((bars, [_text(totals[count][i], ratios[count][i]) for count in counts]))
    _style(ax, counts, other_convention_of(frame))
    legend_above(ax, title=title_of(data, title))
    _label(ax, groups, height)
    return ax


def _style(ax: Axes, counts: Sequence[str], convention: Convention | None) -> None:
    """Label the axes, with a line at 100 %."""
    labels = [drawing.axis_label(count, convention).replace(" (", "\n(") for count in counts]
    ax.axvline(100, color="0.3", linestyle=":", linewidth=1, gid="first")
    ax.set_yticks(range(len(counts)), labels)
    ax.invert_yaxis()
    drawing.style_axes(ax, "relative to the first model (%)", "")
    ax.grid(visible=False, axis="y")


def _label(ax: Axes, groups: Sequence[tuple[BarContainer, list[str]]], height: float) -> None:
    """Write the totals beside the bars, in letters that fit, or not at all if they would be illegible."""
    thickness = height * drawing.axis_length(ax, "y") / abs(ax.get_ylim()[0] - ax.get_ylim()[1])
    letters = min(drawing.SMALL - 1, 0.85 * thickness)
    longest = max(len(text) for _, texts in groups for text in texts)
    length = drawing.axis_length(ax, "x")
    room = longest * drawing.CHARACTER * letters + 6 if letters >= SMALLEST_LETTERS else 6
    ax.set_xlim(
        0, max(bar.get_width() for bars, _ in groups for bar in bars) * length / max(length - room, 40)
    )
    for bars, texts in groups if letters >= SMALLEST_LETTERS else ():
        for text in ax.bar_label(bars, texts, padding=2, fontsize=letters):
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.4})  # hides the line at 100 %


def _text(total: float, ratio: float) -> str:
    """A total, and its ratio to that of the first model: '209.1 M (69.5 %)'."""
    if pd.isna(total):
        return "?"
    known = "no ratio" if pd.isna(ratio) else f"{ratio:.3g} %" if ratio < 999.5 else f"{ratio:,.0f} %"
    amount = short(int(total)) if float(total).is_integer() else significant(total)
    return f"{amount} ({known})"


def _missing(ratios: pd.DataFrame) -> str:
    """A sentence on bars that are missing; "" if there are none."""
    count = int(ratios.isna().sum().sum())
    totals = "1 total is" if count == 1 else f"{count} totals are"
    return f"no bar: {totals} zero, unknown or a lower bound, or the first model's is" if count else ""


def _names(data: Data, frame: pd.DataFrame) -> list[str]:
    """The name of each model, with its input if the inputs of a comparison differ."""
    names = [str(model) for model in frame["model"]]
    if isinstance(data, Comparison):
        inputs = [shapes(report.input) for report in data.reports]
        if len({*inputs}) > 1:
            pairs = zip(names, inputs, strict=True)
            names = [name if "resolution=" in name else f"{name}, {shown}" for name, shown in pairs]
    return [textwrap.shorten(one_line(name), LONGEST, placeholder="…") for name in names]
