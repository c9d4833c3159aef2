"""The pictures: accuracy against cost, what width and resolution do, and where in a network its costs are."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from mbanalyze import plots
from mbanalyze.sources.subject import count
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.published_rows import ranked_sources
from reports.tables import FAMILIES, variants

NETWORKS = {
    "mobilenet_v1": "mobilenet",
    "mobilenet_v2": "mobilenet",
    "mobilenet_v3_large": "mobilenet",
    "mobilenet_v3_small": "mobilenet",
    "shufflenet_v1": "shufflenet",
    "shufflenet_v2": "shufflenet",
}
"""Those whose accuracy one source prints at several widths, and their family."""
COSTS = ("macs", "params", "memory_access")
"""Of each there is a Pareto front."""
RHOS = (1, 0.857, 0.714, 0.571)
"""224, 192, 160 and 128 of 224 pixels."""
PANELS = (10.5, 7.0)
"""Width and height, in inches, of a figure with four pictures."""


def front(cost: str) -> Figure:
    """Every network of which an accuracy is printed, by one cost."""
    figure, ax = plt.subplots(figsize=plots.PAGE_SIZE, layout="constrained")
    plots.pareto(pd.concat([variants(family) for family in FAMILIES], ignore_index=True), ax, cost=cost)
    return figure


def source_of(name: str) -> str:
    """Which source the accuracy of a network without options is from."""
    (source,) = ablate(name, source=ranked_sources(name)).variants["source"]
    return str(source)


def tradeoff(name: str) -> Figure:
    """Accuracy against cost of a network's variants, all from one source: others train otherwise."""
    frame = variants(NETWORKS[name])
    rows = frame[(frame["model"] == name) & (frame["source"] == source_of(name))]
    figure, ax = plt.subplots(figsize=plots.PAGE_SIZE, layout="constrained")
    plots.tradeoff(rows.drop(columns="model"), ax)
    return figure


def scaling(name: str) -> Figure:
    """A network at every width that something is printed of, and at four resolutions."""
    family = variants(NETWORKS[name])
    alphas = sorted(set(family["alpha"][family["model"] == name]))
    frame = ablate(name, alpha=alphas, rho=RHOS).frame()
    figure, (left, right) = plt.subplots(1, 2, figsize=plots.PAGE_SIZE, layout="constrained")
    _mark(plots.scaling(frame, left, against="alpha"), "alpha")
    _mark(plots.scaling(frame, right, against="rho"), "rho")
    return figure


def network(name: str) -> Figure:
    """Where a network's costs are: along its depth, by kind, above the lower bound, and a byte accessed."""
    report = count(name)
    frame = report.frame()
    figure, ((profile, shares), (bound, intensity)) = plt.subplots(2, 2, figsize=PANELS, layout="constrained")
    _mark(plots.profile(frame, profile), "profile")
    _mark(plots.shares(frame, shares), "shares")
    _mark(plots.bound(plots.convolutions_frame(report), bound), "bound")
    _mark(plots.intensity(frame, intensity), "intensity")
    return figure


def _mark(ax: Axes, name: str) -> None:
    """Begin the identifiers on `ax` with `name`, so that no other picture in the figure has the same."""
    for artist in (*ax.lines, *ax.collections):
        if artist.get_gid():
            artist.set_gid(f"{name}-{artist.get_gid()}")


PICTURES: dict[str, Callable[[], Figure]] = {
    **{f"pareto_{cost}": partial(front, cost) for cost in COSTS},
    **{f"tradeoff_{name}": partial(tradeoff, name) for name in NETWORKS},
    **{f"scaling_{name}": partial(scaling, name) for name in NETWORKS},
    **{f"network_{name}": partial(network, name) for name in NETWORKS},
}
"""Name of a file -> what draws it."""


@contextlib.contextmanager
def picture(name: str) -> Iterator[Figure]:
    """A picture, drawn with matplotlib's own settings and font, whatever those of the user are."""
    with style.context("default", after_reset=True):
        figure = PICTURES[name]()
        try:
            yield figure
        finally:
            plt.close(figure)


def data(figure: Figure) -> dict[str, list[list[float]]]:
    """What a figure shows, to six digits: the points of each part with an identifier, and each bar's length."""
    found: dict[str, list[list[float]]] = {}
    for ax in figure.axes:
        lines = {line.get_gid(): np.asarray(line.get_xydata()) for line in ax.lines}
        points = lines | {some.get_gid(): np.asarray(some.get_offsets()) for some in ax.collections}
        found |= {gid: _short(shown) for gid, shown in points.items() if gid}
        kinds = [text.get_text() for text in ax.get_yticklabels()]
        for bars in ax.containers:
            if isinstance(bars, BarContainer):
                lengths = zip(kinds, np.asarray(bars.datavalues), strict=True)
                found |= {f"{bars.get_label()} of {kind}": _short([[length]]) for kind, length in lengths}
    return found


def _short(points: Iterable[Iterable[float]]) -> list[list[float]]:
    return [[float(f"{value:.6g}") for value in point] for point in points]


def described(figure: Figure) -> str:
    """That as JSON, which a picture's file carries as its description."""
    return json.dumps(data(figure), separators=(",", ":"))
