"""Waterfalls of other counters: a panel leads from our macs through named differences to each counter's total."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.display.records import one_line
from mbanalyze.inputs.plot_size import LARGEST, Size, check_size
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data
from mbanalyze.plots.titles import title_of
from mbanalyze.plots.waterfall_bars import Bar, bars
from mbanalyze.plots.waterfall_panel import draw_panel, fit_panel, legend_of

MOST = 6
"""The number of differences in a panel of a figure without a given size."""
ROW, CLOSEST = 12.0, 9.0
"""The usual and the smallest legible distance between bars, in points."""
PANEL, FRAME, LINE = 46.0, 40.0, 10.0
"""The heights of the title and axis of a panel, of the title and legend of the figure, and of a note, in points."""


def waterfall(data: Data, *, size: Size | None = None, title: str | None = None) -> Figure:
    """Plot how the total of each counter comes from our macs, in a panel each, the largest difference first.

    If there is no room for all differences, the smallest are summed.
    An axis that does not begin at 0 says so, and its long bars are broken.
    A counter without a total has a sentence below the panels.

    Args:
        data: the result of `mbanalyze.explain`.
        size: width and height of the figure in inches; by default as wide as a page, and as high as its bars need.
        title: the title; by default the model and its input.

    Raises:
        PlotError: no counter has a total, `data` is another result, or the size is too small for the panels.
        PlotSizeError: the size is out of range.
    """
    if not isinstance(data, ExplainedTotals):
        raise drawing.PlotError(f"cannot draw {data!r} as waterfalls: give the result of explain(...)")
    counted = [each for each in data.counters if each.total is not None]
    width = check_size(size)[0] if size else drawing.PAGE_SIZE[0]
    notes = [line for each in data.counters if each.total is None for line in _note(each, width)]
    if not counted:
        raise drawing.PlotError(" ".join(["no counter has a total to draw:", *notes]))
    height, panels = _panels(data, counted, size, len(notes))
    heights = [PANEL + ROW * len(panel) for panel in panels]
    figure, grid = plt.subplots(
        len(panels) + 1, figsize=(width, height), layout="constrained", squeeze=False,
        height_ratios=[*heights, 2 * LINE + LINE * len(notes)],
    )  # fmt: skip
    heading = textwrap.fill(title_of(data, title), _characters(width))
    figure.suptitle(heading, x=0.01, ha="left", fontsize=drawing.TEXT)
    *axes, foot = grid[:, 0]
    _write_foot(foot, panels, notes)
    for ax, panel in zip(axes, panels, strict=True):
        draw_panel(ax, panel, _characters(width) * 9 // 20)
    figure.draw_without_rendering()  # the layout makes room for the names
    for ax, panel, result in zip(axes, panels, counted, strict=True):
        fit_panel(ax, panel, result)
    return figure


def _panels(
    data: ExplainedTotals, counted: Sequence[CounterResult], size: Size | None, notes: int
) -> tuple[float, list[list[Bar]]]:
    """The height of the figure in inches, and the bars of each panel: as many as have room."""

    def points(panels: Sequence[Sequence[Bar]], row: float) -> float:
        return FRAME + LINE * notes + sum(PANEL + row * len(panel) for panel in panels)

    for most in range(100 if size else MOST, 0, -1):
        panels = [bars(data.macs, each, most) for each in counted]
        needed = points(panels, CLOSEST if size else ROW) / 72
        if needed <= (size[1] if size else LARGEST[1]):
            return size[1] if size else needed, panels
    least = points(panels, CLOSEST) / 72
    raise drawing.PlotError(
        f"{len(counted)} panels need a height of {least:.1f} inches: give a larger size or fewer counters"
    )


def _characters(width: float) -> int:
    """The number of characters in a line of the figure."""
    return int((width * 72 - 8) / (drawing.CHARACTER * drawing.TEXT))


def _note(result: CounterResult, width: float) -> list[str]:
    """The lines of the sentence on a counter without a total."""
    text = one_line(" ".join((result.error or "it gave no total").split()))
    return textwrap.wrap(f"{result.counter}: no total. {text}", _characters(width), max_lines=3)


def _write_foot(ax: Axes, panels: Sequence[Sequence[Bar]], notes: Sequence[str]) -> None:
    """Write the legend and the notes at the left of the figure; neither takes room from the panels."""
    ax.axis("off")
    place = blended_transform_factory(drawing.figure_of(ax).transFigure, ax.transAxes)
    legend = ax.legend(
        handles=legend_of({bar.role for panel in panels for bar in panel}), loc="upper left",
        bbox_to_anchor=(0.005, 1), bbox_transform=place, ncols=4, fontsize=drawing.SMALL, frameon=False,
        handlelength=1.2, handletextpad=0.4, columnspacing=1, borderpad=0.2, borderaxespad=0,
    )  # fmt: skip
    text = ax.annotate(
        "\n".join(notes), (0.01, 1), (0, -2 * LINE), xycoords=place, textcoords="offset points", va="top",
        fontsize=drawing.SMALL, color="0.35", gid="note", annotation_clip=False,
    )  # fmt: skip
    for artist in (legend, text):
        artist.set_in_layout(False)
