"""The pictures: accuracy against cost, laws of width and resolution, and costs within a network."""

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
from mbanalyze.sources.resolve import count
from mbanalyze.sweep.ablation import ablate
from reports.tables import FAMILIES, variants

NETWORKS = {
    "mobilenet_v1": "mobilenet",
    "mobilenet_v2": "mobilenet",
    "mobilenet_v3_large": "mobilenet",
    "mobilenet_v3_small": "mobilenet",
    "shufflenet_v1": "shufflenet",
    "shufflenet_v2": "shufflenet",
}
"""Networks for which one source prints the accuracy at several widths -> their family."""
COSTS = ("macs", "params", "memory_access")
"""The costs that have a Pareto front each."""
RHOS = (1, 0.857, 0.714, 0.571)
"""Resolution multipliers of 224, 192, 160 and 128 pixels, relative to 224."""
PANELS = (10.5, 7.0)
"""Width and height in inches of a figure with four pictures."""


def front(cost: str) -> Figure:
    """Draw every network with a published accuracy, by one cost."""
    figure, ax = plt.subplots(figsize=plots.PAGE_SIZE, layout="constrained")
    rows = pd.concat([variants(family) for family in FAMILIES], ignore_index=True)
    plots.pareto(rows, ax, cost=cost, title="all published variants, one image")
    return figure


def source_of(name: str) -> str:
    """Return the source of the accuracy of a network with default options."""
    (source,) = ablate(name).variants["source"]
    return str(source)


def tradeoff(name: str) -> Figure:
    """Draw accuracy against cost for a network's variants, all from one source, because others train differently."""
    frame = variants(NETWORKS[name])
    rows = frame[(frame["model"] == name) & (frame["source"] == source_of(name))]
    figure, ax = plt.subplots(figsize=plots.PAGE_SIZE, layout="constrained")
    plots.tradeoff(rows.drop(columns="model"), ax, title=f"{name}, accuracy: {source_of(name)}")
    return figure


def scaling(name: str) -> Figure:
    """Draw the costs of a network at every width with a published figure, and at four resolutions."""
    family = variants(NETWORKS[name])
    alphas = sorted(set(family["alpha"][family["model"] == name]))
    ablation = ablate(name, alpha=alphas, rho=RHOS)
    figure, (left, right) = plt.subplots(1, 2, figsize=plots.PAGE_SIZE, layout="constrained")
    _mark(plots.scaling(ablation, left, against="alpha", title=name), "alpha")
    _mark(plots.scaling(ablation, right, against="rho", title=name), "rho")
    return figure


def network(name: str) -> Figure:
    """Draw the costs of a network: along its depth, by kind, against the lower bound, and per byte accessed."""
    report = count(name)
    figure, ((profile, shares), (bound, intensity)) = plt.subplots(2, 2, figsize=PANELS, layout="constrained")
    _mark(plots.profile(report, profile), "profile")
    _mark(plots.shares(report, shares), "shares")
    _mark(plots.bound(report, bound), "bound")
    _mark(plots.intensity(report, intensity), "intensity")
    return figure


def _mark(ax: Axes, name: str) -> None:
    """Prefix the identifiers on `ax` with `name`, so that they are unique in the figure."""
    for artist in (*ax.lines, *ax.collections):
        if artist.get_gid():
            artist.set_gid(f"{name}-{artist.get_gid()}")


PICTURES: dict[str, Callable[[], Figure]] = {
    **{f"pareto_{cost}": partial(front, cost) for cost in COSTS},
    **{f"tradeoff_{name}": partial(tradeoff, name) for name in NETWORKS},
    **{f"scaling_{name}": partial(scaling, name) for name in NETWORKS},
    **{f"network_{name}": partial(network, name) for name in NETWORKS},
}
"""Name of a file -> the function that draws it."""


@contextlib.contextmanager
def picture(name: str) -> Iterator[Figure]:
    """Draw a picture with matplotlib's default settings, independent of the user's, and close it afterwards."""
    with style.context("default", after_reset=True):
        figure = PICTURES[name]()
        try:
            yield figure
        finally:
            plt.close(figure)


def data(figure: Figure) -> dict[str, list[list[float]]]:
    """Return the data of a figure to six digits: the points of each part with an identifier, and the length of each bar."""
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
    """Return the data of a figure as JSON, for the description in its file."""
    return json.dumps(data(figure), separators=(",", ":"))
