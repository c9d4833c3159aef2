"""A plot of the memory of one network along its depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mbanalyze.capacity.peak import Memory
from mbanalyze.display.records import one_line, shape
from mbanalyze.display.units import si_bytes
from mbanalyze.inputs.plot_size import Size
from mbanalyze.peak_memory.timeline import Lifetime, Timeline
from mbanalyze.plots import drawing
from mbanalyze.plots.frames import Data
from mbanalyze.plots.legends import legend_above, legend_entry
from mbanalyze.plots.ticks import set_ticks
from mbanalyze.plots.titles import title_of
from mbanalyze.report.network import Report

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
"""The colours of the largest tensors at the peak."""
OTHERS, REST = "0.55", "0.8"
"""The greys of the other tensors at the peak, and of all other tensors."""

Band = tuple[str, str, str, NDArray[np.int64]]
"""A label, the path in the place of its `{}`, a colour, and the bytes alive during each step."""


def memory(data: Data, ax: Axes | None = None, *, size: Size | None = None, title: str | None = None) -> Axes:
    """Plot the bytes of activations that are alive at each operator, along the depth of the network.

    Each of the largest tensors at the peak has a colour during its whole life. Bands separate blocks.

    Args:
        data: the result of `mbanalyze.memory`, or a report for its account `ideal`.
        ax: the axes.
        size: width and height of a new figure, in inches.
        title: the title; by default the model, its input, the element type and the account;
            `eager` has the types that the module computes with.

    Raises:
        PlotError: no operator works on activations, or `data` is another result.
        PlotSizeError: the size is out of range.
    """
    found = Memory(data) if isinstance(data, Report) else data
    if not isinstance(found, Memory):
        raise drawing.PlotError(f"cannot draw the memory of {data!r}: give a report, or memory(...)")
    timeline = found.timeline
    if not timeline.peak_bytes:
        raise drawing.PlotError(f"{found.report.reference} has no operator that works on activations")
    ax = drawing.get_axes(ax, size)
    drawing.note(ax, [f"weights and buffers beside them: {si_bytes(found.stored_bytes())}"])
    entries: list[Any] = [_mark_peak(ax, timeline)]
    edges, level = np.arange(len(timeline.steps) + 1) - 0.5, np.zeros(len(timeline.steps), np.int64)
    for label, path, colour, alive in _bands(timeline, found.tensors):
        ax.stairs(
            level + alive, edges, baseline=level, fill=True, color=colour, linewidth=0, gid=path or label
        )
        entries.append(Patch(color=colour, label=_with_path(ax, label, path)))
        level = level + alive
    if title is None:
        dtype = "" if found.account == "eager" else f", {found.report.dtype}"
        title = f"{title_of(found.report)}{dtype}, account {found.account}"
    ax.set_ylim(0, timeline.peak_bytes * 1.08)
    drawing.style_axes(ax, "operator, in order (bands are blocks)", "activations alive (bytes)")
    drawing.shade_blocks(ax, [step.path for step in timeline.steps])
    legend_above(ax, entries, title=title_of(found, title))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    set_ticks(ax, "y", pd.Series(timeline.live_bytes, dtype="float64"))
    return ax


def _mark_peak(ax: Axes, timeline: Timeline) -> Any:
    """Mark the first peak, and return its entry of the legend."""
    step = timeline.steps[timeline.peak]
    ax.plot(timeline.peak, timeline.peak_bytes, marker=7, color="black", markersize=5, zorder=3, gid="peak")
    label = f"peak: {si_bytes(timeline.peak_bytes)} at {{}}, {step.kind}"
    return legend_entry(_with_path(ax, label, step.path or "(model)"), marker="v", color="black")


def _bands(timeline: Timeline, tensors: Sequence[Lifetime]) -> Iterator[Band]:
    """Yield the memory of the largest tensors at the peak, one by one, then of the others there, then the rest."""
    largest, others = tensors[: len(COLOURS)], tensors[len(COLOURS) :]
    rest = np.array(timeline.live_bytes, np.int64)
    for tensor, colour in zip(largest, COLOURS, strict=False):
        alive = _alive(timeline, [tensor])
        rest -= alive
        is_input = tensor.kind == "input"
        writer = "input" if is_input else f"{{}} {tensor.kind}"
        label = f"{writer} {shape(tensor.shape)}, {si_bytes(tensor.bytes)}"
        yield label, "" if is_input else tensor.path or "(model)", colour, alive
    if others:
        alive = _alive(timeline, others)
        rest -= alive
        yield f"{len(others)} smaller tensors at the peak", "", OTHERS, alive
    if rest.any():
        yield "other tensors", "", REST, rest


def _alive(timeline: Timeline, tensors: Sequence[Lifetime]) -> NDArray[np.int64]:
    """The bytes of some tensors that are alive during each step."""
    alive = np.zeros(len(timeline.steps), np.int64)
    for tensor in tensors:
        alive[tensor.first : tensor.last + 1] += tensor.bytes
    return alive


def _with_path(ax: Axes, text: str, path: str) -> str:
    """A text with a path in the place of `{}`; the start of a path wider than the legend is left out."""
    path = one_line(path)
    most = max(12, int(drawing.room_right(ax) / (drawing.CHARACTER * drawing.SMALL)) - 6 - len(text))
    return text.replace("{}", path if len(path) <= most else f"...{path[3 - most :]}")
