"""Pictures of what networks cost: each draws a frame on the axes it is given, and each point is a row of it.

Without axes, a figure of a page's width is made. For a column, or several pictures in one figure, make the axes:
`plt.subplots(figsize=COLUMN, layout="constrained")`. Labels of points find their places in the figure as it is
when they are drawn, so give it its size first. Values are never moved, smoothed or jittered; colours are told
apart by colour-blind readers, and markers and luminance in grey.
"""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import fields
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.text import Annotation, Text
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import Bbox

from mbanalyze.cost import PRODUCTS
from mbanalyze.elementwise import ELEMENTWISE
from mbanalyze.guidelines import Convolution, guidelines
from mbanalyze.output import OutputError, require_writable
from mbanalyze.report import Report, block

COLUMN, PAGE = (3.3, 2.5), (7.0, 4.0)
"""Width and height of a figure, in inches, that fills a column or a page's width."""

TEXT, SMALL = 8, 7
"""Points of an axis' name, and of everything else."""

COLORS = ("#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito, 2008, but for the yellow that white paper swallows."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")

NAMES = {
    "macs": ("multiply-accumulates", ""),
    "params": ("params", ""),
    "flops": ("flops", ""),
    "activations": ("activations", "elements"),
    "reads": ("reads", "elements"),
    "writes": ("writes", "elements"),
    "memory_access": ("memory access", "elements"),
    "memory_access_bytes": ("memory access", "bytes"),
    "params_bytes": ("params", "bytes"),
    "arithmetic_intensity": ("arithmetic intensity", "flops per byte"),
    "latency_ms": ("latency", "ms"),
    "top1": ("top-1 accuracy", "%"),
    "top5": ("top-5 accuracy", "%"),
}
"""Column -> what it is called and its unit, "" for what counts itself."""

FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 200},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}
"""Suffix -> how such a file is written, the same bytes each time."""

BELOW = ((0.0, -4.0),)
AROUND = tuple(
    (dx * far, dy * far)
    for far in (4, 8, 13, 19, 26, 34, 43, 53, 64, 80)
    for dx, dy in ((-1, 1), (1, -1), (-1.5, 0.5), (1.5, -0.5), (-2, 1.3), (-0.4, 1.3), (0.4, -1.3), (2, -2.2))
)
"""Where a label may stand, in points from its point, the best first."""


class PlotError(ValueError):
    """A frame without what a picture shows, or a kind of file that no picture is saved as."""


def tradeoff(
    frame: pd.DataFrame, ax: Axes | None = None, *, cost: str = "macs", accuracy: str = "top1"
) -> Axes:
    """Accuracy against cost, as the MobileNet papers draw their ablations: Howard et al., 2017, figures 4 and 5.

    Colour is `alpha` and the marker `resolution`, where the frame has such columns. Rows without one of these,
    a cost or an accuracy are left out.

    Raises:
        PlotError: no row has them all, or a column is missing.
    """
    rows = _known(frame, cost, accuracy, *(name for name in ("alpha", "resolution") if name in frame))
    alphas = sorted(rows["alpha"].unique()) if "alpha" in rows else []
    markers = _styles(sorted(rows["resolution"].unique()) if "resolution" in rows else [0])
    # yellow, the end of viridis, is left out
    low, high = min(alphas, default=0), max(alphas, default=0)
    norm = Normalize(low, low + (high - low) / 0.85)
    ax = _axes(ax)
    for resolution, (_, marker) in markers.items():
        some = rows[rows["resolution"] == resolution] if "resolution" in rows else rows
        colors = some["alpha"] if alphas else [low] * len(some)
        ax.scatter(
            some[cost], some[accuracy], 26, colors, marker=marker, norm=norm, cmap="viridis", linewidths=0.4,
            edgecolors="black", gid=f"resolution-{resolution:g}",
        )  # fmt: skip
    shades = [_key(f"{a:g}", color=mpl.colormaps["viridis"](norm(a)), marker="o") for a in _few(alphas)]
    shapes = [_key(f"{r:g}", color="0.5", marker=markers[r][1]) for r in markers if r]
    ax.set_xscale("log")
    _ticks(ax.xaxis, rows[cost])
    _finish(ax, _label(cost), _label(accuracy))
    _legend_right(ax, {"alpha": shades, "resolution": shapes})
    return ax


def scaling(frame: pd.DataFrame, ax: Axes | None = None, *, against: str = "alpha") -> Axes:
    """Params and macs relative to the largest variant, in per cent, beside the quadratic law of `against`.

    Both axes are logarithmic, so that the law is a straight line. Of `alpha` and of `resolution` or `rho`, the
    one that is not asked for is held at its largest.

    Args:
        against: `alpha`, `rho` or `resolution`.

    Raises:
        PlotError: a column is missing or empty.
    """
    rows = _known(frame, against, "macs", "params")
    for other in ("resolution", "rho") if against == "alpha" else ("alpha",):
        rows = rows[rows[other] == rows[other].max()] if other in rows else rows
    options = rows[against]
    largest = rows.iloc[int(options.argmax())]
    ax = _axes(ax)
    ends = [options.min(), options.max()]
    law = [100 * (end / ends[1]) ** 2 for end in ends]
    ax.plot(ends, law, "--", color="0.4", linewidth=1, label=f"{against}²", gid="law")
    # a ring around a dot, so that neither hides the other
    looks = {"macs": ("s", 4, COLORS[1], COLORS[1]), "params": ("o", 7.5, COLORS[0], "none")}
    for count, (marker, size, color, face) in looks.items():
        ax.plot(
            options, 100 * rows[count] / largest[count], marker, markersize=size, color=color,
            markerfacecolor=face, label=_name(count), gid=count,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    _ticks(ax.xaxis, options)
    _ticks(ax.yaxis, pd.Series(law))
    if options.nunique() <= 8:
        ax.set_xticks(sorted(options.unique()), [f"{value:.3g}" for value in sorted(options.unique())])
    _finish(ax, against, f"relative to {against} {ends[1]:.3g} (%)")
    _legend_above(ax)
    return ax


def pareto(
    frame: pd.DataFrame, ax: Axes | None = None, *, cost: str = "macs", objective: str = "top1"
) -> Axes:
    """Networks by cost and objective, the Pareto front among them filled, joined by a line and labelled.

    Reads columns `model` and `front` (whether no other row is better in both). Labels are the models with
    their `alpha` and `resolution`; where there is no room for all of them, these alone, as far as there is.
    Rows without a cost or an objective are left out.

    Raises:
        PlotError: no row has both, or a column is missing.
    """
    _require(frame, "model", "front")
    rows = _known(frame, cost, objective)
    styles = _styles(rows["model"].unique())
    on = rows["front"].astype(bool)
    ax = _axes(ax)
    front = rows[on].sort_values([cost, objective])
    (line,) = ax.plot(front[cost], front[objective], color="0.3", linewidth=1, zorder=1, gid="front")
    for model, (color, marker) in styles.items():
        for some, face, part in ((rows[~on], "white", "behind"), (rows[on], color, "front")):
            mine = some[some["model"] == model]
            ax.scatter(
                mine[cost], mine[objective], 20, marker=marker, facecolors=face, edgecolors=color, linewidths=0.8,
                gid=f"{model}-{part}", zorder=2 + (part == "front"),
            )  # fmt: skip
    ax.set_xscale("log")
    _ticks(ax.xaxis, rows[cost])
    _ticks(ax.yaxis, rows[objective])
    ax.margins(y=0.12)
    _finish(ax, _label(cost), _label(objective))
    keys = [_key(str(model), color=color, marker=marker) for model, (color, marker) in styles.items()]
    _legend_above(ax, [*keys, _key("Pareto front", color="0.3", linestyle="-", linewidth=1)])
    crowded = front[::-1]  # where the front is flat, so that labels there choose first
    options = _options(crowded)
    names = [f"{model} {option}".strip() for model, option in zip(crowded["model"], options, strict=True)]
    there, points, joined = crowded[[cost, objective]], rows[[cost, objective]], [line.get_path()]
    if not _place(ax, there, names, AROUND, points, joined, every=True):
        _place(ax, there, options, AROUND, points, joined)
    return ax


def profile(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params", "memory_access"),
) -> Axes:
    """Where along a network its costs are: each operator's share of each count, in per cent.

    Reads `report.frame()`. An operator with none of a count has no point there. Bands are blocks.

    Raises:
        PlotError: no operator has any of a count, or a column is missing.
    """
    _require(frame, "path")
    shares = {count: _shares(_numbers(frame, count), count) for count in counts}
    styles = _styles(counts)
    ax = _axes(ax)
    for count, (color, marker) in styles.items():
        some = shares[count][shares[count] > 0]
        ax.vlines(some.index, 0, some, color=color, linewidth=0.6, alpha=0.6)
        ax.plot(some, marker, color=color, markersize=2.8, label=_name(count), gid=count)
    ax.set_ylim(bottom=0)
    _finish(ax, "operator, in order (bands are blocks)", "share of its total (%)")
    _bands(ax, frame["path"])
    _legend_above(ax)
    return ax


def shares(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    counts: Sequence[str] = ("macs", "params"),
    least: float = 1,
) -> Axes:
    """Share of each count by kind of operator, in per cent: Howard et al., 2017, table 2.

    Reads `report.frame()`.

    Args:
        least: kinds with less than so many per cent of every count are one, "other", as are the smallest where
            there is no room for so many bars.

    Raises:
        PlotError: no operator has any of a count, or a column is missing.
    """
    kinds = _operators(frame)
    each = pd.DataFrame({count: _shares(_numbers(frame, count), count) for count in counts})
    styles = _styles(counts)
    ax = _axes(ax)
    table = _merged(each.groupby(kinds, sort=False).sum(), least, int(_points(ax) / (9 * len(counts))))
    height = 0.86 / len(counts)
    size = min(SMALL, 0.78 * height * _points(ax) / len(table))
    for i, (count, (color, _)) in enumerate(styles.items()):
        places = [row + (i - (len(counts) - 1) / 2) * height for row in range(len(table))]
        bars = ax.barh(
            places, table[count], height, color=color, label=_name(count), edgecolor="white", linewidth=0.3
        )
        ax.bar_label(bars, fmt=lambda share: f"{share:.2f}" if share else "", padding=2, fontsize=size)
    ax.set_yticks(range(len(table)), [str(kind) for kind in table.index])
    ax.invert_yaxis()
    ax.margins(x=0.16)
    _finish(ax, "share of its total (%)", "")
    ax.grid(visible=False, axis="y")
    _legend_above(ax)
    return ax


def convolutions_frame(report: Report) -> pd.DataFrame:
    """What G1 and G2 say of each convolution of `report`, in elements: what `bound` draws."""
    columns = [*(field.name for field in fields(Convolution)), "ratio"]
    return pd.DataFrame(
        [[getattr(c, name) for name in columns] for c in guidelines(report).convolutions], columns=columns
    )


def bound(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Memory access of each convolution above the least that its work allows: ShuffleNet V2's G1 and G2.

    Reads `convolutions_frame(report)`: columns `path`, `memory_access` and `bound`. The numbers are how many
    times its bound a convolution accesses, from 1.05 on, the largest first, as there is room. Bands are blocks.

    Raises:
        PlotError: there is no convolution, or a column is missing.
    """
    _require(frame, "path")
    rows = _known(frame, "memory_access", "bound")
    ax = _axes(ax)
    stems = ax.vlines(
        rows.index, rows["bound"], rows["memory_access"], color=COLORS[1], linewidth=1.5, zorder=1
    )
    ax.plot(
        rows["memory_access"], "o", color=COLORS[0], markersize=3, label="memory access", gid="memory_access"
    )
    ax.plot(rows["bound"], "_", color="black", markersize=5, label="lower bound", gid="bound")
    ax.set_yscale("log")
    _ticks(ax.yaxis, pd.concat([rows["memory_access"], rows["bound"]]))
    ax.margins(y=0.1)
    _finish(ax, "convolution, in order (bands are blocks)", _label("memory_access"))
    _bands(ax, frame["path"])
    _legend_above(ax)
    ratios = (rows["memory_access"] / rows["bound"]).sort_values(ascending=False)
    ratios = ratios[ratios >= 1.05]
    both = pd.concat([rows["memory_access"], rows["bound"]]).reset_index()
    texts = [f"{ratio:.2g}\N{MULTIPLICATION SIGN}" for ratio in ratios]
    _place(ax, rows.loc[ratios.index, ["bound"]].reset_index(), texts, BELOW, both, stems.get_paths())
    return ax


def intensity(frame: pd.DataFrame, ax: Axes | None = None, *, itemsize: int = 4) -> Axes:
    """Flops of each operator for a byte that it reads or writes, along depth, by class of operator.

    Reads `report.frame()`. Operators without flops, which a logarithm has no place for, are left out.

    Args:
        itemsize: bytes of an element.

    Raises:
        PlotError: no operator has flops, or a column is missing.
    """
    kinds = _operators(frame)
    classes = kinds.where(frame["kind"].isin(PRODUCTS).to_numpy(), "other")
    classes = classes.mask(frame["kind"].isin(ELEMENTWISE).to_numpy(), "element-wise")
    ratios = _numbers(frame, "flops") / (itemsize * _numbers(frame, "memory_access"))
    ratios = ratios[(ratios > 0) & (ratios < float("inf"))]
    if ratios.empty:
        raise PlotError("no operator of the frame has flops and memory access")
    _require(frame, "path")
    styles = _styles(classes[ratios.index].unique())
    ax = _axes(ax)
    for name, (color, marker) in styles.items():
        some = ratios[classes[ratios.index] == name]
        ax.plot(some, marker, color=color, markersize=3.2, label=str(name), gid=str(name).replace(" ", "-"))
    ax.set_yscale("log")
    _ticks(ax.yaxis, ratios)
    _finish(ax, "operator, in order (bands are blocks)", _label("arithmetic_intensity"))
    _bands(ax, frame["path"])
    _legend_above(ax)
    return ax


def save(drawn: Axes | Figure, path: Path) -> None:
    """Write the figure of `drawn` as .png, .svg or .pdf, whole or not at all; the same figure gives the same bytes.

    Raises:
        PlotError: the suffix is none of these.
        OutputError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise PlotError(f"cannot save a picture as {path.name!r}: choose one of {', '.join(FORMATS)}")
    require_writable(path)
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mbanalyze"}):
        _figure(drawn).savefig(content, format=suffix[1:], **FORMATS[suffix])
    target = path.resolve()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            made = Path(folder, target.name)
            made.write_bytes(content.getvalue())
            made.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _require(frame: pd.DataFrame, *columns: str) -> None:
    for column in columns:
        if column not in frame:
            raise PlotError(f"the frame has no column {column!r}, only {', '.join(map(str, frame))}")


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column as floats, NaN where unknown, counted from 0; memory access also as the sum of its parts."""
    if column == "memory_access" and column not in frame:
        return _numbers(frame, "reads") + _numbers(frame, "writes")
    _require(frame, column)
    try:
        return frame[column].reset_index(drop=True).astype("float64")
    except (TypeError, ValueError) as error:
        raise PlotError(f"column {column!r} holds something that is no number: {error}") from error


def _known(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows that have numbers in all `columns`, as floats; indexed by their place in `frame`."""
    numbers = {column: _numbers(frame, column) for column in columns}
    rows = frame.reset_index(drop=True).assign(**numbers).dropna(subset=list(columns))
    if rows.empty:
        raise PlotError(f"no row of the frame has {' and '.join(columns)}")
    return rows


def _shares(numbers: pd.Series[float], count: str) -> pd.Series[float]:
    """Each of `numbers` in per cent of their sum."""
    if not numbers.sum():
        raise PlotError(f"no operator of the frame has {_name(count)}")
    return 100 * numbers / numbers.sum()


def _merged(table: pd.DataFrame, least: float, room: int) -> pd.DataFrame:
    """The rows of `table` by their largest share; those below `least`, or for which there is no `room`, as one."""
    table = table.loc[table.max(axis="columns").sort_values(ascending=False).index]
    kept = int((table.max(axis="columns") >= least).sum())
    kept = kept if kept < room else max(room - 1, 1)
    rest = table.iloc[kept:].sum()
    return pd.concat([table.iloc[:kept], rest.to_frame("other").T]) if rest.any() else table.iloc[:kept]


def _operators(frame: pd.DataFrame) -> pd.Series[str]:
    """What each operator is: `pointwise conv`, `linear`, `batch norm`."""
    _require(frame, "kind", "variant")
    pairs = zip(frame["kind"], frame["variant"], strict=True)
    return pd.Series(
        [f"{v} conv" if isinstance(v, str) else str(k).replace("_", " ") for k, v in pairs], dtype=str
    )


def _options(rows: pd.DataFrame) -> list[str]:
    """Alpha and resolution of each row, as far as it has them: `0.5/160`."""
    columns = [column for column in ("alpha", "resolution") if column in rows]
    records = rows[columns].to_dict("records") if columns else [{}] * len(rows)
    return ["/".join(f"{v:g}" for v in record.values() if pd.notna(v)) for record in records]


def _styles(names: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """A colour and a marker for each name."""
    names = list(names)
    if len(names) > len(MARKERS):
        raise PlotError(f"{len(names)} are too many to tell apart, at most {len(MARKERS)}: {names}")
    return dict(zip(names, zip(itertools.cycle(COLORS), MARKERS, strict=False), strict=False))


def _few(values: Sequence[float]) -> Sequence[float]:
    """At most eight of `values`, evenly spread."""
    return values[:: ceil(len(values) / 8) or 1]


def _name(column: str) -> str:
    return NAMES.get(column, (column.replace("_", " "), ""))[0]


def _label(column: str) -> str:
    unit = NAMES.get(column, ("", ""))[1]
    return f"{_name(column)} ({unit})" if unit else _name(column)


def _axes(ax: Axes | None) -> Axes:
    return ax or plt.subplots(figsize=PAGE, layout="constrained")[1]


def _figure(drawn: Axes | Figure) -> Figure:
    figure = drawn.figure if isinstance(drawn, Axes) else drawn
    return figure.figure if isinstance(figure, SubFigure) else figure


def _points(ax: Axes, side: str = "height") -> float:
    """Height or width of the axes in points, before text finds its room."""
    return float(getattr(ax.get_window_extent(), side)) / ax.figure.dpi * 72


def _finish(ax: Axes, x: str, y: str) -> None:
    """What all pictures share: names of the axes, sizes of text, a faint grid, two spines."""
    ax.set_xlabel(x, fontsize=TEXT)
    ax.set_ylabel(y, fontsize=TEXT)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.5)
    ax.set_axisbelow(True)


def _ticks(axis: Axis, values: pd.Series[float]) -> None:
    """Ticks with SI prefixes where `values` are thousands; on a logarithmic scale as many as stay apart."""
    if axis.get_scale() == "log":
        values = values[values > 0]
        span = values.max() / values.min()
        steps = (1, 2, 3, 5, 7) if span < 5 else (1, 2, 5) if span < 100 else (1, 3) if span < 3000 else (1,)
        axis.set_major_locator(LogLocator(subs=steps))
        axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(EngFormatter(sep=" ") if values.max() >= 1000 else StrMethodFormatter("{x:g}"))


def _bands(ax: Axes, paths: Iterable[str]) -> None:
    """Shade every other block of `paths`."""
    ends = [0, *itertools.accumulate(len(list(rows)) for _, rows in itertools.groupby(paths, block))]
    for start, end in itertools.islice(itertools.pairwise(ends), 0, None, 2):
        ax.axvspan(start - 0.5, end - 0.5, color="0.94", linewidth=0, zorder=0)
    ax.set_xlim(-0.5 - ends[-1] / 100, ends[-1] - 0.5 + ends[-1] / 100)


def _key(label: str, **style: Any) -> Line2D:
    """An entry of a legend."""
    defaults: dict[str, Any] = {"linestyle": "", "markersize": 4.5}
    return Line2D([], [], label=label, **defaults | style)


def _legend_right(ax: Axes, groups: dict[str, list[Line2D]]) -> None:
    """A legend beside the axes, each group under its title."""
    keys = [key for title, group in groups.items() if group for key in (_key(title), *group)]
    if keys:
        _legend(ax, keys, ceil(len(keys) * SMALL * 1.4 / _points(ax)), "upper left", (1, 1))


def _legend_above(ax: Axes, keys: Sequence[Artist] | None = None) -> None:
    """A legend over the axes, in as many columns as fit."""
    keys = keys or ax.get_legend_handles_labels()[0]
    longest = (0.53 * max(len(str(key.get_label())) for key in keys) + 3) * SMALL
    _legend(ax, keys, max(1, int(1.1 * _points(ax, "width") / longest)), "lower left", (0, 1))


def _legend(ax: Axes, keys: Sequence[Artist], columns: int, corner: Any, anchor: tuple[float, float]) -> None:
    ax.legend(
        handles=keys, loc=corner, bbox_to_anchor=anchor, ncols=columns, fontsize=SMALL, frameon=False,
        handlelength=1.2, handletextpad=0.4, columnspacing=1, labelspacing=0.35, borderpad=0.2, borderaxespad=0.3,
    )  # fmt: skip


def _place(
    ax: Axes,
    points: pd.DataFrame,
    texts: Sequence[str],
    offsets: Sequence[tuple[float, float]],
    others: pd.DataFrame,
    lines: Sequence[Outline],
    *,
    every: bool = False,
) -> bool:
    """Write beside each of `points` its text where there is room, clear of `others`, each other and `lines`.

    Returns whether there was room for all; with `every`, there are all or none.
    """
    _figure(ax).draw_without_rendering()  # which moves the axes to where they stay
    place, inch = ax.transData.transform, ax.figure.dpi
    taken = [Bbox.from_bounds(x, y, 0, 0).padded(inch / 30) for x, y in place(others)]
    lines = [line.transformed(ax.transData) for line in lines]
    placed = []
    for point, text in zip(points.itertuples(index=False), texts, strict=True):
        x, y = place(tuple(point))
        for dx, dy in offsets:
            note = _note(ax, text, tuple(point), dx, dy)
            note.get_window_extent()  # which moves it to its place
            box = Text.get_window_extent(note).padded(1)
            tie = Outline([(x, y), (x + dx * inch / 72, y + dy * inch / 72)])
            if _free(ax, box, tie, [other for other in taken if not other.contains(x, y)], lines):
                taken.append(box)
                lines.append(tie)
                placed.append(note)
                break
            note.remove()
    complete = len(placed) == len(points)
    for note in placed if every and not complete else ():
        note.remove()
    return complete


def _free(ax: Axes, box: Bbox, tie: Outline, taken: Sequence[Bbox], lines: Sequence[Outline]) -> bool:
    """Whether a label fits into `box` and the line to its point between the others."""
    inside = all(ax.bbox.contains(*corner) for corner in (box.min, box.max))
    return inside and not (
        box.count_overlaps(taken)
        or any(other.intersects_bbox(box, filled=False) for other in lines)
        or any(tie.intersects_bbox(other, filled=False) for other in taken)
    )


def _note(ax: Axes, text: str, point: tuple[float, float], dx: float, dy: float) -> Annotation:
    """A label so many points from its point, tied to it by a line where it is far."""
    side, level = (dx < 0) - (dx > 0), (dy < 0) - (dy > 0)
    tie = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    return ax.annotate(
        text, point, (dx, dy), textcoords="offset points", fontsize=SMALL - 1,
        ha=("left", "center", "right")[side + 1], va=("bottom", "center", "top")[level + 1],
        arrowprops=tie | {"relpos": ((side + 1) / 2, (level + 1) / 2)} if abs(dx) + abs(dy) > 10 else None,
    )  # fmt: skip
