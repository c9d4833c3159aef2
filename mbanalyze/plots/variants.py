"""Pictures of what networks cost: each draws a frame on the axes it is given, and each point is a row of it.

Without axes, a figure of a page's width is made. For a column, or several pictures in one figure, make the axes:
`plt.subplots(figsize=COLUMN, layout="constrained")`. Labels of points find their places in the figure as it is
when they are drawn, so give it its size first. Values are never moved, smoothed or jittered; colours are told
apart by colour-blind readers, and markers and luminance in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import inf

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from mbanalyze.ops.cost import Cost
from mbanalyze.plots import drawing
from mbanalyze.plots.drawing import PlotError


def variants(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What a frame of `ablate` has to show: `tradeoff` where accuracy is published, else `scaling`.

    Raises:
        PlotError: there is neither an accuracy nor a second alpha or resolution.
    """
    if "top1" in frame and frame["top1"].notna().any():
        return tradeoff(frame, ax)
    for against in ("alpha", "rho", "resolution"):
        if against in frame and len(set(frame[against])) > 1:
            return scaling(frame, ax, against=against)
    raise PlotError("a picture needs published accuracy, or several alphas or resolutions")


def tradeoff(
    frame: pd.DataFrame, ax: Axes | None = None, *, cost: str = "macs", accuracy: str = "top1"
) -> Axes:
    """Accuracy against cost, as the MobileNet papers draw their ablations: Howard et al., 2017, figures 4 and 5.

    Colour is the first option that varies, and the marker all others, or the same: `alpha`, `resolution`, and
    then those columns before the first count; the other way round where only the markers would be too few. Where
    they are too few for either, all are the same. Rows without an alpha, a resolution, a cost or an accuracy above 0 are
    left out.

    Raises:
        PlotError: no row has them all, or a column is missing.
    """
    most = len(drawing.MARKERS)
    rows = _known(frame, cost, accuracy, *(name for name in ("alpha", "resolution") if name in frame))
    varying = _varying(rows)
    hue, hues = _levels(rows, varying[:1])
    form, forms = _levels(rows, varying[1:]) if varying[1:] else (hue, hues)
    if len(hues) <= most < len(forms):
        (hue, hues), (form, forms) = (form, forms), (hue, hues)
    if len(forms) > most:
        form, forms = _levels(rows, [])
    markers = dict(zip(forms, drawing.MARKERS, strict=False))
    norm = Normalize(hue.min(), hue.max())
    ax = drawing.axes(ax)
    for level, marker in markers.items():
        some = rows[form == level]
        ax.scatter(
            some[cost], some[accuracy], 26, hue[some.index], marker=marker, norm=norm, cmap=drawing.SHADES,
            linewidths=0.4, edgecolors="black", gid=f"{form.name}-{forms[level]}",
        )  # fmt: skip
    ax.set_xscale("log")
    drawing.finish(ax, drawing.label(cost), drawing.label(accuracy))
    colors = [
        drawing.key(text, color=drawing.SHADES(norm(v)), marker="o") for v, text in hues.items() if text
    ]
    shapes = [
        drawing.key(text, color=drawing.SHADES(norm(v)) if form is hue else "0.5", marker=markers[v])
        for v, text in forms.items()
        if text
    ]
    drawing.legend_right(ax, {str(hue.name): colors, str(form.name): shapes})
    drawing.ticks(ax, "x", rows[cost])
    return ax


def scaling(frame: pd.DataFrame, ax: Axes | None = None, *, against: str = "alpha") -> Axes:
    """Params and macs relative to the largest variant, in per cent, beside the quadratic law of `against`.

    Both axes are logarithmic, so that the law is a straight line. Only variants are drawn that differ from the
    largest in `against` alone: all other columns before the first count, such as `width`, are options too.

    Args:
        against: `alpha`, `rho` or `resolution`.

    Raises:
        PlotError: a column is missing or empty, or no two variants differ in `against` alone.
    """
    rows = _differing(_known(frame, against, "macs", "params"), against)
    options = rows[against]
    largest = rows.iloc[-1]
    ends = [options.min(), options.max()]
    law = [100 * (end / ends[1]) ** 2 for end in ends]
    ax = drawing.axes(ax)
    ax.plot(ends, law, "--", color="0.4", linewidth=1, label=f"{against}²", gid="law")
    # a ring around a dot, so that neither hides the other
    looks = {
        "macs": ("s", 4, drawing.COLORS[1], drawing.COLORS[1]),
        "params": ("o", 7.5, drawing.COLORS[0], "none"),
    }
    for count, (marker, size, color, face) in looks.items():
        ax.plot(
            options, 100 * rows[count] / largest[count], marker, markersize=size, color=color,
            markerfacecolor=face, label=drawing.name(count), gid=count,
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    drawing.finish(ax, against, f"relative to {against} {ends[1]:.3g} (%)")
    drawing.legend_above(ax)
    drawing.ticks_at(ax, "x", options)
    drawing.ticks(ax, "y", pd.Series(law))
    return ax


def pareto(
    frame: pd.DataFrame, ax: Axes | None = None, *, cost: str | None = None, objective: str = "top1"
) -> Axes:
    """Networks by cost and objective, the Pareto front among them filled, joined by a line and labelled.

    On the front are those of which no other costs as little and has as much of the objective; the line joins
    them. Where the frame has a column `front`, because more than one cost matters, what it says is filled too.
    Labels are the column `model` with `alpha` and `resolution`, and with `options` where only these tell it from
    another; where there is no room for all of them, without the model, as far as there is. Of more models than
    there are colours, those without a point on the front are grey. Rows without a cost and an objective above 0
    are left out.

    Args:
        cost: by default macs, or params where the objective is macs.

    Raises:
        PlotError: no row has both, a column is missing, or cost and objective are the same.
    """
    cost = cost or ("params" if objective == "macs" else "macs")
    if cost == objective:
        raise PlotError(f"cost and objective are both {cost}: choose two")
    _require(frame, "model")
    rows = _known(frame, cost, objective)
    ordered = rows.sort_values([cost, objective], ascending=[True, False])
    edge = ordered[ordered[objective] > ordered[objective].cummax().shift(fill_value=-inf)]
    on = rows.index.isin(edge.index)
    if "front" in rows:
        on |= rows["front"].astype(bool).to_numpy()
    models, leading = rows["model"].unique(), rows["model"][on].unique()
    named = models if len(models) <= len(drawing.COLORS) else leading
    others = [model for model in models if model not in named]
    styles = dict.fromkeys(others, ("0.75", "o")) | drawing.styles(named)
    ax = drawing.axes(ax)
    (line,) = ax.plot(edge[cost], edge[objective], color="0.3", linewidth=1, zorder=1, gid="front")
    for model, (color, marker) in styles.items():
        for some, face, part in ((rows[~on], "white", "behind"), (rows[on], color, "front")):
            mine = some[some["model"] == model]
            ax.scatter(
                mine[cost], mine[objective], 20, marker=marker, facecolors=face, edgecolors=color, linewidths=0.8,
                gid=f"{model}-{part}", zorder=2 + (part == "front"),
            )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log" if objective in Cost().as_dict() else "linear")
    ax.margins(y=0.12)
    drawing.finish(ax, drawing.label(cost), drawing.label(objective))
    keys = [drawing.key(str(model), color=styles[model][0], marker=styles[model][1]) for model in named]
    grey = [drawing.key("other", color="0.75", marker="o", markerfacecolor="white")] if others else []
    joining = drawing.key("Pareto front", color="0.3", linestyle="-", linewidth=1)
    drawing.legend_above(ax, [*keys, *grey, joining])
    drawing.ticks(ax, "x", rows[cost])
    drawing.ticks(ax, "y", rows[objective])
    # labels of the line choose first, of those where it is flat, and then what is off it
    order = [*edge.index[::-1], *rows[on].drop(edge.index).sort_values(cost, ascending=False).index]
    crowded, options = rows.loc[order], _options(rows)[order]
    names = [f"{model} {option}".strip() for model, option in zip(crowded["model"], options, strict=True)]
    there, points, joined = crowded[[cost, objective]], rows[[cost, objective]], [line.get_path()]
    if not drawing.place(ax, there, names, drawing.AROUND, points, joined, every=True):
        drawing.place(ax, there, list(options), drawing.AROUND, points, joined)
    return ax


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
    """The rows that have numbers in all `columns` which a logarithm has a place for, as floats.

    Indexed by their place in `frame`.
    """
    numbers = pd.DataFrame({column: _numbers(frame, column) for column in columns})
    placed = ((numbers > 0) & (numbers < inf)).all(axis="columns")
    rows = frame.reset_index(drop=True).assign(**numbers)[placed]
    if rows.empty:
        raise PlotError(f"no row of the frame has {' and '.join(columns)}")
    return rows


def _shares(numbers: pd.Series[float], count: str) -> pd.Series[float]:
    """Each of `numbers` in per cent of their sum."""
    if not numbers.sum():
        raise PlotError(f"no operator of the frame has {drawing.name(count)}")
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


def _varying(rows: pd.DataFrame) -> list[str]:
    """The options that rows differ in: alpha, resolution, and the columns before the first count."""
    names = dict.fromkeys(["alpha", "resolution", *_before_counts(rows)])
    known = [name for name in names if name in rows and (name != "rho" or "resolution" not in rows)]
    return [name for name in known if len(set(map(repr, rows[name]))) > 1]


def _before_counts(rows: pd.DataFrame) -> list[str]:
    """The columns before the first count, which are options."""
    return [str(name) for name in takewhile(lambda name: name not in drawing.NAMES, rows)]


def _levels(rows: pd.DataFrame, names: Sequence[str]) -> tuple[pd.Series[float], dict[float, str]]:
    """A number for each row by its options `names`, and what each number stands for: "" without options."""
    title = ", ".join(names)
    if len(names) == 1 and rows[title].dtype.kind in "iuf":
        values = rows[title].astype(float)
        return values, {value: f"{value:g}" for value in sorted(values.unique())}
    texts = [
        ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in row if value != "")
        for row in rows[[*names]].itertuples(index=False)
    ]
    codes, known = pd.factorize(pd.Series(texts, dtype=object))
    return pd.Series(codes, rows.index, float, title), dict(enumerate(known))


def _differing(rows: pd.DataFrame, against: str) -> pd.DataFrame:
    """The rows that have the options of the largest, which is the last, but for `against`."""
    rows = rows.sort_values([against, "macs"])
    same = {"rho", "resolution"} if against in ("rho", "resolution") else {against}
    others = [name for name in _before_counts(rows) if name not in same]
    options = rows[others].map(repr)
    rows = rows[(options == options.iloc[-1]).all(axis="columns")]
    if rows[against].nunique() < 2:
        beside = f", but for the same {', '.join(others)}" if others else ""
        raise PlotError(f"no two rows of the frame differ in {against}{beside}")
    return rows


def _options(rows: pd.DataFrame) -> pd.Series[str]:
    """Alpha and resolution of each row, as far as it has them: `0.5/160`; with `options` where others have the same."""
    columns = [column for column in ("alpha", "resolution") if column in rows]
    records = rows[columns].to_dict("records") if columns else [{}] * len(rows)
    texts = pd.Series(
        ["/".join(f"{v:g}" for v in record.values() if pd.notna(v)) for record in records],
        rows.index,
        dtype=object,
    )
    if "options" not in rows:
        return texts
    same = pd.DataFrame({"model": rows["model"], "text": texts}).duplicated(keep=False)
    return texts.mask(same, (texts + " " + rows["options"]).str.strip())
