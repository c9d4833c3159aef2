"""Place text labels next to points, without overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.path import Path as Outline
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from mbanalyze.plots.drawing import SMALL, figure_of

Vector = tuple[float, float]
"""A position or an offset: x and y."""

OFFSETS_BELOW: tuple[Vector, ...] = ((0.0, -4.0),)
"""The position of a label below its point, in points."""
OFFSETS_AROUND: tuple[Vector, ...] = tuple(
    (dx * distance, dy * distance)
    for distance in (4, 8, 13, 19, 26, 34, 43, 53, 64, 80)
    for dx, dy in ((-1, 1), (1, -1), (-1.5, 0.5), (1.5, -0.5), (-2, 1.3), (-0.4, 1.3), (0.4, -1.3), (2, -2.2))
)
"""Positions of a label around its point, in points, the preferred first."""
LEADER_LINE = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
"""The style of the line from a distant label to its point."""


def place_labels(
    ax: Axes,
    points: pd.DataFrame,
    texts: Sequence[str],
    offsets: Sequence[Vector],
    *,
    obstacles: pd.DataFrame,
    lines: Sequence[Outline],
    all_or_none: bool = False,
) -> bool:
    """Write a label next to each point that has room, clear of obstacles, lines and other texts.

    Args:
        ax: the axes.
        points: columns x and y, a row for each label.
        texts: the labels.
        offsets: the positions to try, in points.
        obstacles: columns x and y of points that a label must not cover.
        lines: lines that a label must not cross, in data coordinates.
        all_or_none: remove all labels unless every point has one.

    Returns:
        True if every point has a label.
    """
    figure_of(ax).draw_without_rendering()  # the layout moves the axes to their final position
    at, inch = ax.transData.transform, ax.figure.dpi
    taken = [Bbox.from_bounds(x, y, 0, 0).padded(inch / 30) for x, y in at(obstacles)]
    taken += [text.get_window_extent() for text in ax.texts]
    lines = [line.transformed(ax.transData) for line in lines]
    placed = []
    for point, text in zip(points.itertuples(index=False), texts, strict=True):
        x, y = at(tuple(point))
        size = _size(ax, text, tuple(point))
        others = [other for other in taken if not other.contains(x, y)]
        for dx, dy in offsets:
            end = (x + dx * inch / 72, y + dy * inch / 72)
            box, leader = _box(size, end, (dx, dy)).padded(1), Outline([(x, y), end])
            if _is_free(ax, box, leader, others, lines):
                taken.append(box)
                lines.append(leader)
                placed.append(_annotate(ax, text, tuple(point), (dx, dy), LEADER_LINE))
                break
        else:
            if all_or_none:
                break
    complete = len(placed) == len(points)
    for label in placed if all_or_none and not complete else ():
        label.remove()
    return complete


def _size(ax: Axes, text: str, point: Vector) -> tuple[float, float]:
    """The width and height of a label in pixels; without a leader line, which would slow the extent down."""
    trial = _annotate(ax, text, point, (0, 0), None)
    extent = trial.get_window_extent()
    trial.remove()
    return extent.width, extent.height


def _sides(offset: Vector) -> tuple[int, int]:
    """The side of a label that is at its point: -1 for the left or lower one, 0 for the middle, 1 for the other."""
    dx, dy = offset
    return (dx < 0) - (dx > 0), (dy < 0) - (dy > 0)


def _box(size: tuple[float, float], end: Vector, offset: Vector) -> Bbox:
    """The box of a label of this size, whose side towards its point is at `end`."""
    lows = [at - (side + 1) / 2 * length for at, side, length in zip(end, _sides(offset), size, strict=True)]
    return Bbox.from_bounds(lows[0], lows[1], *size)


def _is_free(ax: Axes, box: Bbox, leader: Outline, taken: Sequence[Bbox], lines: Sequence[Outline]) -> bool:
    """True if a label and its leader line fit inside the axes and between the other labels and lines."""
    frame = ax.bbox.padded(-ax.figure.dpi / 36)
    inside = all(frame.contains(*corner) for corner in (box.min, box.max))
    return inside and not (
        box.count_overlaps(taken)
        or any(other.intersects_bbox(box, filled=False) for other in lines)
        or any(leader.intersects_bbox(other, filled=False) for other in taken)
    )


def _annotate(
    ax: Axes, text: str, point: Vector, offset: Vector, leader: dict[str, Any] | None
) -> Annotation:
    """A label at an offset from its point; a distant one gets a leader line, if `leader` has its style."""
    dx, dy = offset
    side, level = _sides(offset)
    ends = {"relpos": ((side + 1) / 2, (level + 1) / 2)}
    return ax.annotate(
        text, point, offset, textcoords="offset points", fontsize=SMALL - 1,
        ha=("left", "center", "right")[side + 1], va=("bottom", "center", "top")[level + 1],
        arrowprops=leader | ends if leader and abs(dx) + abs(dy) > 10 else None,
    )  # fmt: skip
