"""Plots: each point is a row of the frame, and all text is legible."""

from __future__ import annotations

import functools
import itertools
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from torch import nn

from mbanalyze import count, plots
from mbanalyze.archs import ARCHS
from mbanalyze.display.files import OutputError
from mbanalyze.literature.figures import entries
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.plots.drawing import PlotError
from mbanalyze.report.network import Report
from mbanalyze.report.rows import block
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.best_variants import search

mpl.use("Agg")

SLIM = "tensorflow/models@02c04f49 research/slim/nets/mobilenet_v1.md"
NETWORKS = {
    "mobilenet_v1": SLIM,
    "mobilenet_v2": "tensorflow/models@0ba83cf0 research/slim/nets/mobilenet/README.md (V2)",
    "mobilenet_v3_large": "arXiv:1905.02244 Table 9, latest version",
    "mobilenet_v3_small": "arXiv:1905.02244 Table 9, latest version",
    "shufflenet_v2": "megvii-model/ShuffleNet-Series@aa91feb7 ShuffleNetV2/README.md",
}


@functools.cache
def published(variant: str = "mobilenet_v1") -> pd.DataFrame:
    """Each published variant of a network with its costs and accuracy, once."""
    rows = [
        {
            "model": variant,
            "alpha": entry.options["alpha"],
            "resolution": entry.options["resolution"],
            "rho": entry.options["resolution"] / 224,
            **count(variant, **entry.options).totals.as_dict(),
            "top1": entry.top1,
        }
        for entry in entries()
        if entry.variant == variant and entry.source == NETWORKS[variant] and not entry.undefined
    ]
    return pd.DataFrame(rows).drop_duplicates(["alpha", "resolution"]).reset_index(drop=True)


@functools.cache
def networks() -> pd.DataFrame:
    """Several networks, with their Pareto front."""
    frame = pd.concat([published(variant) for variant in NETWORKS], ignore_index=True)
    return frame.assign(front=on_front(frame, "macs", "top1"))


def on_front(frame: pd.DataFrame, cost: str, objective: str) -> list[bool]:
    """For each row, True if no other row is at least as good in both columns and better in one."""
    rows = pairs(frame, cost, objective)
    return [not any(a <= x and b >= y and (a, b) != (x, y) for a, b in rows) for x, y in rows]


RANGE = [round(0.35 + 0.05 * i, 2) for i in range(22)]
"""More alphas than there are markers: 0.35 to 1.4."""
SIZES = list(range(96, 321, 16))
"""More resolutions than there are markers."""


@functools.cache
def graded(alphas: tuple[float, ...], sizes: tuple[int, ...]) -> pd.DataFrame:
    """MobileNetV2 at given alphas and resolutions, with invented accuracies."""
    frame = ablate("mobilenet_v2", alpha=list(alphas), resolution=list(sizes)).frame()
    frame = frame.drop(columns="accuracy_source")
    return frame.assign(top1=[70 + i / len(frame) for i in range(len(frame))])


@functools.cache
def found(objective: str = "top1") -> pd.DataFrame:
    """The fitting variants of a search."""
    return search("all", max_macs=600_000_000, objective=objective).frame()


@functools.cache
def traced() -> pd.DataFrame:
    """The variants of a factory, whose macs are nullable integers."""

    def build(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
        )

    return ablate(build, (1, 3, 32, 32), width=[8, 16], resolution=[32, 64]).frame()


@functools.cache
def network(name: str = "mobilenet_v1") -> Report:
    """A report in closed form."""
    return count(name)


PLOTS: dict[str, tuple[Callable[..., Axes], Callable[[], pd.DataFrame]]] = {
    "tradeoff": (plots.tradeoff, published),
    "tradeoff of MobileNetV2": (plots.tradeoff, lambda: published("mobilenet_v2")),
    "tradeoff of an ablation": (
        plots.tradeoff,
        lambda: ablate(
            "mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35], resolution=[224, 192, 160, 128, 96]
        ).frame(),
    ),
    "tradeoff of a range of alphas": (plots.tradeoff, lambda: graded((*RANGE,), (96, 128, 160, 192, 224))),
    "tradeoff of a range of resolutions": (plots.tradeoff, lambda: graded((0.5, 1), (*SIZES,))),
    "tradeoff of two ranges": (plots.tradeoff, lambda: graded((*RANGE,), (*SIZES,))),
    "scaling": (plots.scaling, published),
    "scaling of close alphas": (
        plots.scaling,
        lambda: ablate("mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35]).frame(),
    ),
    "scaling of a range of alphas": (plots.scaling, lambda: ablate("mobilenet_v2", alpha=RANGE).frame()),
    "scaling of an ablation": (
        functools.partial(plots.scaling, against="rho"),
        lambda: ablate("mobilenet_v1", rho=[1, 0.857, 0.714, 0.571]).frame(),
    ),
    "scaling of a factory": (functools.partial(plots.scaling, against="resolution"), traced),
    "scaling by rho": (functools.partial(plots.scaling, against="rho"), published),
    "pareto": (plots.pareto, networks),
    "pareto of a search": (plots.pareto, found),
    "pareto of macs": (functools.partial(plots.pareto, objective="macs"), lambda: found("macs")),
    "pareto of two costs": (
        plots.pareto,
        lambda: search("mobilenet", max_macs=150_000_000, max_params=3_000_000).frame(),
    ),
    "tradeoff of groups": (
        plots.tradeoff,
        lambda: ablate("shufflenet_v1", alpha=[1, 2], groups=[1, 2, 3]).frame().assign(top1=range(60, 66)),
    ),
    "pareto of params": (functools.partial(plots.pareto, objective="params"), lambda: found("params")),
    "profile": (plots.profile, lambda: network().frame()),
    "profile of MobileNetV3": (plots.profile, lambda: network("mobilenet_v3_large").frame()),
    "shares": (plots.shares, lambda: network().frame()),
    "three shares of MobileNetV3": (
        functools.partial(plots.shares, counts=("macs", "params", "memory_access")),
        lambda: network("mobilenet_v3_large").frame(),
    ),
    "bound": (plots.bound, lambda: guidelines(network()).frame()),
    "bound of ShuffleNetV2": (plots.bound, lambda: guidelines(network("shufflenet_v2")).frame()),
    "intensity": (plots.intensity, lambda: network().frame()),
    "intensity of MobileNetV3": (plots.intensity, lambda: network("mobilenet_v3_large").frame()),
}


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close all figures before and after each test."""
    plt.close("all")
    yield
    plt.close("all")


def points_of(array: Any) -> list[tuple[float, float]]:
    """The rows of an array as points."""
    return [(float(x), float(y)) for x, y in array]


def scattered(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each scatter, by its gid."""
    return {
        str(points.get_gid()): points_of(points.get_offsets())
        for points in ax.collections
        if points.get_gid()
    }


def plotted(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each line, by its gid."""
    return {str(line.get_gid()): points_of(line.get_xydata()) for line in ax.lines if line.get_gid()}


def pairs(frame: pd.DataFrame, x: str, y: str) -> list[tuple[float, float]]:
    """Two columns as points."""
    return list(zip(frame[x].astype(float), frame[y].astype(float), strict=True))


def labels(ax: Axes) -> list[Any]:
    """The labels next to points: the notes and the labels of limits have identifiers."""
    return [text for text in ax.texts if not text.get_gid()]


def test_tradeoff_draws_each_row() -> None:
    """MobileNetV1's 16 variants have their cost and accuracy, a scatter for each resolution, and alpha as colour."""
    frame = published()
    ax = plots.tradeoff(frame)

    assert len(frame) == sum(map(len, scattered(ax).values())) == 16
    for resolution, rows in frame.groupby("resolution"):
        assert pairs(rows, "macs", "top1") == scattered(ax)[f"resolution-{resolution}"]
    for points in ax.collections:
        assert {0.25, 0.5, 0.75, 1} == set(points.get_array())  # type: ignore[arg-type]
    assert ax.get_xscale() == "log"


def test_a_figure_is_as_wide_as_a_page() -> None:
    """Without axes, a figure has the size of a page and a layout that makes room for text."""
    figure = plots.tradeoff(published()).figure

    assert tuple(figure.get_size_inches()) == plots.PAGE_SIZE  # type: ignore[union-attr]
    assert figure.get_layout_engine() is not None


def test_tradeoff_leaves_out_rows_without_accuracy() -> None:
    """A row without an accuracy has no point; alpha and resolution are optional."""
    frame = published()[["params", "top1"]].copy()
    frame.loc[::2, "top1"] = None
    ax = plots.tradeoff(frame, cost="params")

    assert [pairs(frame[1::2], "params", "top1")] == list(scattered(ax).values())
    assert ax.get_legend() is None


def test_tradeoff_of_many_alphas_thins_the_legend() -> None:
    """Colour shows more values than there are markers; the legend has both ends of the range and some between."""
    _, ax = plt.subplots(figsize=plots.COLUMN_SIZE, layout="constrained")
    plots.tradeoff(graded((*RANGE,), (96, 128, 160, 192, 224)), ax)
    colors = {value for points in ax.collections for value in points.get_array()}  # type: ignore[union-attr]
    legend = ax.get_legend()
    assert legend is not None
    named = [text.get_text() for text in legend.get_texts()]
    alphas = [float(text) for text in named[1 : named.index("resolution")]]

    assert set(RANGE) == colors
    assert [RANGE[0], RANGE[-1]] == [alphas[0], alphas[-1]]
    assert set(alphas) < set(RANGE)
    assert named[named.index("resolution") + 1 :] == ["96", "128", "160", "192", "224"]


def test_tradeoff_of_many_resolutions_exchanges_colour_and_marker() -> None:
    """Markers show the option with fewer values; if both have too many, all markers are equal."""
    frame = graded((0.5, 1), (*SIZES,))
    points = scattered(plots.tradeoff(frame))
    both = scattered(plots.tradeoff(graded((*RANGE,), (*SIZES,))))

    assert {
        "alpha-0.5": pairs(frame[frame["alpha"] == 0.5], "macs", "top1"),
        "alpha-1": pairs(frame[frame["alpha"] == 1], "macs", "top1"),
    } == points
    assert [len(RANGE) * len(SIZES)] == [len(rows) for rows in both.values()]


@pytest.mark.parametrize(
    ("against", "held", "largest"),
    [("alpha", "resolution", 224), ("rho", "alpha", 1), ("resolution", "alpha", 1)],
)
def test_scaling_is_relative_to_the_largest(against: str, held: str, largest: float) -> None:
    """Params and macs are in per cent of the largest row; other options have their largest value."""
    frame = published()
    ax = plots.scaling(frame.sample(frac=1, random_state=0), against=against)
    rows = frame[frame[held] == largest].sort_values(against)

    for name in ("params", "macs"):
        expected = rows.assign(share=100 * rows[name] / rows[name].iloc[-1])
        assert pairs(expected, against, "share") == sorted(plotted(ax)[name])


def test_scaling_draws_the_quadratic_law() -> None:
    """A quarter of the width costs a sixteenth: the law is a dashed line on logarithmic axes."""
    ax = plots.scaling(published())

    assert plotted(ax)["law"] == [(0.25, 6.25), (1, 100)]
    assert [(line.get_linestyle(), line.get_label()) for line in ax.lines[:1]] == [("--", "alpha²")]
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_scaling_fixes_every_other_option() -> None:
    """The width of a factory is its largest, 16, which gives one point for each resolution."""
    frame = traced()
    points = plotted(plots.scaling(frame, against="resolution"))
    wide = frame[frame["width"] == 16]

    assert [(32, 100 * wide["macs"].iloc[0] / wide["macs"].iloc[1]), (64, 100)] == points["macs"]
    assert points["params"] == [(32, 100), (64, 100)]


def test_scaling_omits_ticks_without_room() -> None:
    """Of 1.3 and 1.4, a column shows the larger, and a page both."""
    _, ax = plt.subplots(figsize=plots.COLUMN_SIZE, layout="constrained")
    frame = ablate("mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35]).frame()
    plots.scaling(frame, ax)
    _, page = plt.subplots(figsize=(2 * plots.PAGE_SIZE[0], plots.PAGE_SIZE[1]), layout="constrained")
    plots.scaling(frame, page)

    assert sorted(ax.get_xticks()) == [0.35, 0.5, 0.75, 1, 1.4]
    assert sorted(page.get_xticks()) == [0.35, 0.5, 0.75, 1, 1.3, 1.4]


def test_pareto_joins_the_front() -> None:
    """Each model has its points on and behind the front, and a line joins the front in order of cost."""
    frame = networks()
    ax = plots.pareto(frame)
    points = scattered(ax)
    front = frame[frame["front"]].sort_values("macs")

    assert pairs(front, "macs", "top1") == plotted(ax)["front"]
    for model, rows in frame.groupby("model"):
        assert pairs(rows[rows["front"]], "macs", "top1") == points[f"{model}-front"]
        assert pairs(rows[~rows["front"]], "macs", "top1") == points[f"{model}-behind"]


def test_pareto_labels_the_front() -> None:
    """On a large page, each point of the front has a label with its model, alpha and resolution."""
    frame = networks()
    ax = plots.pareto(frame, size=(8, 6))
    front = frame[frame["front"]]
    names = {
        (f"{row.model} {row.alpha:g}/{row.resolution}", row.macs, row.top1) for row in front.itertuples()
    }

    assert names == {(note.get_text(), *note.xy) for note in labels(ax)}


def test_pareto_shortens_labels_in_a_column() -> None:
    """In a column, labels leave out the model, and most points of the front have one."""
    frame = networks()
    front = frame[frame["front"]]
    _, ax = plt.subplots(figsize=plots.COLUMN_SIZE, layout="constrained")
    plots.pareto(frame, ax)
    names = {(f"{row.alpha:g}/{row.resolution}", row.macs, row.top1) for row in front.itertuples()}
    written = {(note.get_text(), *note.xy) for note in labels(ax)}

    assert written <= names
    assert len(written) > 0.6 * len(names)


def test_pareto_labels_models_without_options() -> None:
    """Without alpha and resolution, the label is the model; points behind the front have no label."""
    ax = plots.pareto(pd.DataFrame({"model": ["a", "b"], "macs": [10, 20], "top1": [60.0, 50.0]}))

    assert [note.get_text() for note in labels(ax)] == ["a"]
    assert {k: v for k, v in scattered(ax).items() if v} == {"a-front": [(10, 60)], "b-behind": [(20, 50)]}


@pytest.mark.parametrize(
    ("objective", "cost"), [("top1", "macs"), ("macs", "params"), ("params", "macs"), ("top1", "params")]
)
def test_the_front_is_that_of_the_drawn_columns(objective: str, cost: str) -> None:
    """With any objective, no drawn network has a cost as low and an objective as high as one on the line."""
    frame = found().dropna(subset="top1") if objective == "top1" else found(objective)
    ax = plots.pareto(
        frame, cost=None if (objective, cost) != ("top1", "params") else cost, objective=objective
    )
    front = frame[on_front(frame, cost, objective)].drop_duplicates([cost, objective]).sort_values(cost)

    assert pairs(front, cost, objective) == plotted(ax)["front"]
    assert len(front) > 1
    assert ax.get_yscale() == ("linear" if objective == "top1" else "log")


def test_pareto_of_every_network() -> None:
    """Of 16 architectures, those on the front have a colour and a marker each, and the others are grey."""
    frame = search("all", objective="macs").frame()
    ax = plots.pareto(frame, objective="macs")
    leading = set(frame["model"][frame["front"]])
    legend = ax.get_legend()
    assert legend is not None
    keys = {str(key.get_label()): key for key in legend.legend_handles if key is not None}
    looks = {(keys[name].get_color(), keys[name].get_marker()) for name in leading}  # type: ignore[attr-defined]

    marks = {"filled: on the front", "hollow: behind it", "Pareto front"}
    assert {*leading, "other", *marks} == set(keys)
    assert len(leading) == len(looks) < len(ARCHS) == 16
    assert sum(map(len, scattered(ax).values())) == len(frame)


def test_pareto_fills_the_front_of_a_search() -> None:
    """A search has several costs: all of its front is filled, and the line joins the front of the drawn cost."""
    result = search("mobilenet", max_macs=150_000_000, max_params=3_000_000)
    rows = result.frame().dropna(subset="top1")
    for cost in ("macs", "params"):
        ax = plots.pareto(result, cost=cost)
        filled = [point for gid, some in scattered(ax).items() if gid.endswith("-front") for point in some]

        assert sorted(pairs(rows[rows["front"]], cost, "top1")) == sorted(filled)
        assert set(plotted(ax)["front"]) < set(filled)
        drawn = {gid: some for gid, some in scattered(ax).items() if gid not in ("best", "over")}
        assert len(rows) == sum(map(len, drawn.values()))


def test_pareto_labels_options_that_distinguish_points() -> None:
    """A label has other options only if alpha and resolution occur twice for the model."""
    same = {"model": "a", "alpha": 1.0, "resolution": 96}
    rows = [
        same | {"options": "groups=1", "macs": 10, "top1": 60.0},
        same | {"options": "groups=2", "macs": 20, "top1": 70.0},
        same | {"options": "groups=1", "resolution": 128, "macs": 30, "top1": 80.0},
    ]
    ax = plots.pareto(pd.DataFrame(rows))

    assert {"a 1/96 groups=1", "a 1/96 groups=2", "a 1/128"} == {note.get_text() for note in labels(ax)}


def legend_of(ax: Axes) -> list[str]:
    """The texts of the legend."""
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_tradeoff_shows_a_single_option_by_colour() -> None:
    """Groups, or a width rule, have colours if nothing else varies."""
    groups = ablate("shufflenet_v1", groups=[1, 2, 3]).frame().assign(top1=[65.0, 66, 67])
    ax = plots.tradeoff(groups)
    assert legend_of(ax) == ["groups", "1", "2", "3"]
    assert {1.0, 2.0, 3.0} == {value for points in ax.collections for value in points.get_array()}  # type: ignore[union-attr]

    rules = ablate("mobilenet_v3_small", width_rule=["paper", "torchvision"], alpha=0.5).frame()
    ax = plots.tradeoff(rules.assign(top1=[1, 2]))
    assert legend_of(ax) == ["width_rule", "paper", "torchvision"]


def test_tradeoff_shows_other_options_by_marker() -> None:
    """Beside alpha, one option or the combination of several has markers; an empty option adds nothing."""
    both = ablate("shufflenet_v1", alpha=[1, 2], groups=[1, 2]).frame().assign(top1=range(60, 64))
    assert {"groups-1", "groups-2"} == set(scattered(plots.tradeoff(both)))
    three = ablate("shufflenet_v1", alpha=[1, 2], resolution=[96, 224], groups=[1, 2]).frame()
    forms = {f"resolution, groups-{r}, {g}" for r in (96, 224) for g in (1, 2)}
    assert forms == set(scattered(plots.tradeoff(three.assign(top1=range(60, 68)))))
    some = ablate("mobilenet_v2", alpha=[0.5, 1], resolution=[96, 224]).frame().assign(top1=range(60, 64))
    some.insert(0, "options", ["", "a=1", "", "a=1"])
    assert {"resolution, options-96", "resolution, options-224, a=1"} == set(scattered(plots.tradeoff(some)))


@pytest.mark.parametrize("none", [0.0, -5.0, float("inf"), float("nan")])
def test_rows_without_a_positive_cost_are_left_out(none: float) -> None:
    """A row without a finite cost above 0 has no point; if no row has one, PlotError names the columns."""
    rows = {
        "model": "a",
        "alpha": [1, 2, 3],
        "macs": [none, 10.0, 20.0],
        "params": [1.0, 2, 3],
        "top1": [50, 60, 70],
    }
    frame = pd.DataFrame(rows)

    assert sorted(itertools.chain(*scattered(plots.tradeoff(frame)).values())) == [(10, 60), (20, 70)]
    assert plotted(plots.pareto(frame))["front"] == [(10, 60), (20, 70)]
    assert len(plotted(plots.scaling(frame))["macs"]) == 2
    with pytest.raises(PlotError, match="no row of the frame has macs and top1"):
        plots.tradeoff(frame.assign(macs=none))


def test_an_ablation_names_what_it_leaves_out() -> None:
    """A note counts the variants that a plot of an ablation does not draw; without any there is none."""
    # 0.25, 0.5, 0.75 and 1 are published of these five
    some = ablate("mobilenet_v1", alpha=[0.25, 0.5, 0.6, 0.75, 1])
    for data, expected in (
        (some, "not drawn: 1 of 5 variants (no accuracy)"),
        (ablate("mobilenet_v2", alpha=[0.5, 1, 2], resolution=[96, 224], num_classes=10), ""),
        (ablate("mobilenet_v1", alpha=[0.25, 0.5]), ""),
        (ablate("mnasnet", alpha=[0.6, 1]), ""),
    ):
        assert plots.left_out(data) == expected
        notes = [line for text in plots.ablation(data).texts for line in text.get_text().splitlines()]
        captions = [line for line in notes if "not drawn" in line]
        assert captions == [expected] * bool(expected)


def test_an_ablation_is_plotted_by_its_columns() -> None:
    """An accuracy gives a tradeoff, a size that varies alone its scaling, and any other option its costs."""
    sizes: dict[str, Any] = {"resolution": [96, 128], "num_classes": 10}
    both = ablate("mobilenet_v2", alpha=[0.5, 1], **sizes)

    assert plots.ablation(published()).get_ylabel() == "top-1 accuracy (%)"
    assert plots.ablation(ablate("resnet50", **sizes)).get_ylabel() == "relative to resolution 128 (%)"
    assert plots.ablation(ablate("mnasnet", alpha=[0.6, 1])).get_xlabel() == "alpha"
    assert plots.ablation(both).get_ylabel() == "multiply-accumulates, params"
    with pytest.raises(PlotError, match="several values of an option"):
        plots.ablation(ablate("mnasnet"))


def test_results_are_plotted_like_their_frames() -> None:
    """A plot of an ablation or a report has the points of its frame."""
    variants, report = ablate("mobilenet_v1", alpha=[0.5, 1]), network()

    assert plotted(plots.scaling(variants)) == plotted(plots.scaling(variants.frame()))
    assert plotted(plots.profile(report)) == plotted(plots.profile(report.frame()))
    assert plotted(plots.bound(report)) == plotted(plots.bound(guidelines(report)))


def test_pareto_leaves_out_rows_without_objective() -> None:
    """A row without an accuracy has no point."""
    frame = networks().copy()
    frame.loc[frame["model"] == "mobilenet_v3_large", "top1"] = None
    ax = plots.pareto(frame)
    known = frame.dropna(subset="top1")

    assert not any("large" in gid for gid in scattered(ax))
    assert sum(on_front(known, "macs", "top1")) == len(plotted(ax)["front"])


def test_profile_draws_shares_along_depth() -> None:
    """Each operator with a count has a point at its position, in per cent of the total."""
    report = network()
    points = plotted(plots.profile(report.frame()))

    for name in ("macs", "params", "memory_access"):
        counts = [getattr(row.cost, name) for row in report.rows]
        total = getattr(report.totals, name)
        assert [(i, 100 * n / total) for i, n in enumerate(counts) if n] == points[name]


def test_profile_shades_every_other_block() -> None:
    """MobileNetV1's stem, of three operators, is the first shaded block, and the next block is not shaded."""
    report = network()
    ax = plots.profile(report.frame())
    blocks = [len(list(rows)) for _, rows in itertools.groupby(report.rows, lambda row: block(row.op.path))]
    ends = [0, *itertools.accumulate(blocks)]
    edges = [band.get_path().transformed(band.get_patch_transform()).get_extents() for band in ax.patches]
    bands = [(edge.x0, edge.x1) for edge in edges]

    assert [(start - 0.5, end - 0.5) for start, end in itertools.pairwise(ends)][::2] == bands
    assert bands[0] == (-0.5, 2.5)


def test_profile_leaves_out_unknown_counts() -> None:
    """An operator with unknown macs has no point, and adds nothing to the total."""
    frame = network().frame()
    frame.loc[0, "macs"] = pd.NA
    known = frame["macs"].sum()
    points = plotted(plots.profile(frame))["macs"]

    assert (3, 100 * frame["macs"][3] / known) == points[0]


def test_shares_equal_table_2_of_the_paper() -> None:
    """Of MobileNetV1, 94.86 % of the macs are pointwise, and 24.33 % of the params without batch norm are linear."""
    ax = plots.shares(network().frame())
    macs, params = ([bar.get_width() for bar in bars] for bars in ax.containers)
    kinds = [label.get_text() for label in ax.get_yticklabels()]

    assert kinds == ["pointwise conv", "linear", "depthwise conv", "standard conv", "other"]
    # Table 2 has 1.19 for the first layer, which makes its column sum to 99.29 instead of 100
    assert pytest.approx([94.86, 0.18, 3.06, 1.91, 0], abs=0.005) == macs
    # Table 2 leaves out batch norm, which has 0.52 % of the params, and the bias
    assert pytest.approx([74.59, 24.33, 1.06, 0.02, 0], abs=0.53) == params
    assert pytest.approx(100) == sum(macs)
    assert pytest.approx(100) == sum(params)


def test_bars_have_the_shares_of_the_report() -> None:
    """Each bar has the share of its kind, and a label unless the share is zero."""
    report = network()
    ax = plots.shares(report.frame())
    linear = report.only("linear").totals
    bars = [next(iter(bars[1:])) for bars in ax.containers]

    assert [100 * linear.macs / report.totals.macs, 100 * linear.params / report.totals.params] == [  # type: ignore[operator]
        bar.get_width() for bar in bars
    ]
    texts = [text.get_text() for text in ax.texts]
    widths = [bar.get_width() for bars in ax.containers for bar in bars]
    assert [f"{width:.2f}" if width else "" for width in widths] == texts


def test_small_shares_are_merged() -> None:
    """Kinds below `least` in every count become "other"."""
    ax = plots.shares(network().frame(), least=50)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["pointwise conv", "other"]


def test_bound_reads_the_frame_of_the_guidelines() -> None:
    """Each convolution has a row, in order; its memory access is the sum of the bound and its excess."""
    frame = guidelines(network()).frame()
    parts = frame["bound"] + frame["imbalance"] + frame["grouping"] + frame["bias"]

    assert [row.op.path for row in network().rows if row.op.kind == "conv"] == list(frame["path"])
    assert pytest.approx(list(parts)) == list(frame["memory_access"])
    assert list(frame["memory_access"] / frame["bound"]) == list(frame["ratio"])


def test_bound_draws_memory_access_and_its_bound() -> None:
    """Each convolution has both in elements, and a label with their ratio from 1.05 on."""
    frame = guidelines(network()).frame()
    ax = plots.bound(frame)

    for name in ("memory_access", "bound"):
        assert list(enumerate(frame[name])) == plotted(ax)[name]
    above = frame[frame["ratio"] >= 1.05]
    notes: list[Any] = list(ax.texts)
    assert {(f"{r:.2g}×", i, b) for i, r, b in above[["ratio", "bound"]].itertuples()} == {  # noqa: RUF001
        (note.get_text(), *note.xy) for note in notes
    }


@pytest.mark.parametrize("itemsize", [4, 2])
def test_intensity_is_flops_per_byte(itemsize: int) -> None:
    """Each operator has its arithmetic intensity, in the group of its class."""
    report = network()
    points = plotted(plots.intensity(report.frame(), itemsize=itemsize))
    every = [row.cost.arithmetic_intensity(itemsize) for row in report.rows]
    relu = [i for i, row in enumerate(report.rows) if row.op.kind == "relu"]

    assert {"standard-conv", "depthwise-conv", "pointwise-conv", "linear", "element-wise", "other"} == set(
        points
    )
    assert list(enumerate(every)) == sorted(itertools.chain(*points.values()))
    assert [(i, every[i]) for i in relu] == points["element-wise"]


UNITS = {
    "tradeoff": ("multiply-accumulates", "top-1 accuracy (%)"),
    "scaling": ("alpha", "relative to alpha 1 (%)"),
    "scaling by rho": ("rho", "relative to rho 1 (%)"),
    "pareto": ("multiply-accumulates", "top-1 accuracy (%)"),
    "profile": ("operator, in order (bands are blocks)", "share of its total (%)"),
    "shares": ("share of its total (%)", ""),
    "bound": ("convolution, in order (bands are blocks)", "memory access (elements)"),
    "intensity": ("operator, in order (bands are blocks)", "arithmetic intensity (flops per byte)"),
}


@pytest.mark.parametrize("name", UNITS)
def test_axes_have_labels_with_units(name: str) -> None:
    """Each axis has a label with its unit."""
    draw, frame = PLOTS[name]
    ax = draw(frame())

    assert UNITS[name] == (ax.get_xlabel(), ax.get_ylabel())


def texts(ax: Axes) -> list[Text]:
    """All texts of the axes except the legend."""
    ticks = [
        tick.label1
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim())))
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    return [text for text in (*ax.texts, *ticks, ax.xaxis.label, ax.yaxis.label) if text.get_text()]


@pytest.mark.parametrize("size", [plots.COLUMN_SIZE, plots.PAGE_SIZE], ids=["column", "page"])
@pytest.mark.parametrize("name", PLOTS)
def test_texts_do_not_overlap(name: str, size: tuple[float, float]) -> None:
    """Labels, ticks and the legend do not overlap; the legend is outside the data, and all are in the figure."""
    draw, frame = PLOTS[name]
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    draw(frame(), ax)
    figure.draw_without_rendering()
    # the extent of an annotation would include its leader line
    written = {text: Text.get_window_extent(text) for text in texts(ax)}
    legend = ax.get_legend()
    assert legend is not None
    key = legend.get_window_extent()

    assert not [(a, b) for a, b in itertools.combinations(written, 2) if written[a].overlaps(written[b])]
    assert not [text for text, box in written.items() if box.overlaps(key)]
    assert not key.overlaps(ax.bbox.padded(-1))
    for box in (*written.values(), key):
        assert Bbox.union([box, figure.bbox]).bounds == pytest.approx(figure.bbox.bounds, abs=1)


@pytest.mark.parametrize("name", PLOTS)
def test_given_axes_are_used(name: str) -> None:
    """A plot returns the given axes, makes no figure, and changes no settings and nothing in its frame."""
    draw, make = PLOTS[name]
    settings = mpl.rcParams.copy()
    frame = make()
    before = frame.copy(deep=True)
    _, ax = plt.subplots()

    assert ax is draw(frame, ax)
    assert len(plt.get_fignums()) == 1
    assert settings == mpl.rcParams
    pd.testing.assert_frame_equal(before, frame)


@pytest.mark.parametrize(
    ("draw", "frame", "message"),
    [
        (plots.tradeoff, pd.DataFrame({"macs": [1.0], "top1": [None]}), "no row of the frame has macs and top1"),
        (plots.tradeoff, pd.DataFrame({"macs": [1.0]}), "no column 'top1', only macs"),
        (plots.tradeoff, pd.DataFrame({"macs": ["569 M"], "top1": [70.6]}), "'macs' is not numeric"),
        (plots.scaling, pd.DataFrame({"macs": [1.0], "params": [1]}), "no column 'alpha'"),
        (plots.scaling, pd.DataFrame({"alpha": [1], "macs": [1.0], "params": [1]}), "no two rows .* differ in alpha$"),
        (
            plots.scaling,
            pd.DataFrame({"alpha": [1, 2], "width": [1, 2], "macs": [1.0, 2], "params": [1, 2]}),
            "no two rows of the frame differ in alpha and have the same width",
        ),
        (plots.pareto, pd.DataFrame({"macs": [1.0], "top1": [1]}), "no column 'model'"),
        (plots.pareto, pd.DataFrame({"macs": range(1, 22), "top1": range(1, 22), "model": range(21)}), "can show 20 different names, not 21"),
        (functools.partial(plots.pareto, cost="top1"), pd.DataFrame(), "cost and objective are both top1"),
        (plots.profile, pd.DataFrame({"path": ["a"], "macs": [0]}), "no operator of the frame has multiply-acc"),
        (plots.shares, pd.DataFrame({"kind": ["a"], "variant": [None], "macs": [0]}), "no operator of the frame"),
        (plots.bound, pd.DataFrame({"path": [], "memory_access": [], "bound": []}), "no row of the frame has mem"),
        (plots.intensity, lambda: network().only("dropout").frame(), "no operator of the frame has flops"),
    ],
)  # fmt: skip
def test_frames_without_data_raise(draw: Callable[..., Axes], frame: Any, message: str) -> None:
    """PlotError names the missing data, and no figure stays open."""
    with pytest.raises(PlotError, match=message):
        draw(frame() if callable(frame) else frame)

    assert plt.get_fignums() == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_saving_is_reproducible(suffix: str, tmp_path: Path) -> None:
    """The same frame gives the same bytes, without a date, from axes and from a figure."""
    once, again = tmp_path / f"once{suffix}", tmp_path / f"again{suffix}"
    plots.save(plots.scaling(published()), once)
    plots.save(plots.scaling(published()).get_figure(), again)  # type: ignore[arg-type]

    assert once.read_bytes() == again.read_bytes()
    assert not any(word in once.read_bytes() for word in (b"dc:date", b"CreationDate"))
    assert [again, once] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_file_has_its_description(suffix: str, tmp_path: Path) -> None:
    """The description is in the metadata, which has none without one."""
    with_text, without = tmp_path / f"with{suffix}", tmp_path / f"without{suffix}"
    plots.save(plots.scaling(published()), with_text, 'macs {"a": 1} <b>')
    plots.save(plots.scaling(published()), without)
    escaped = b'macs {"a": 1} &lt;b&gt;' if suffix == ".svg" else b'macs {"a": 1} <b>'

    assert escaped in with_text.read_bytes()
    assert not any(word in without.read_bytes() for word in (b"Description", b"dc:description", b"/Subject"))


def test_svg_groups_have_identifiers(tmp_path: Path) -> None:
    """Each group of points in an SVG has the identifier of its rows."""
    plots.save(plots.tradeoff(published()), tmp_path / "tradeoff.svg")

    assert 'id="resolution-160"' in (tmp_path / "tradeoff.svg").read_text()


def test_unknown_suffixes_raise(tmp_path: Path) -> None:
    """PlotError lists the three known suffixes, and nothing is written."""
    with pytest.raises(PlotError, match=r"'cost\.jpg': choose one of \.png, \.svg, \.pdf"):
        plots.save(plots.scaling(published()), tmp_path / "cost.jpg")

    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the old file is unchanged, and no temporary file remains."""

    def full(_: Path, __: Path) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "cost.png"
    target.write_text("old")
    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(OutputError, match=r"cannot write .*cost.png: No space left"):
        plots.save(plots.scaling(published()), target)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_saving_keeps_permissions(tmp_path: Path) -> None:
    """An existing file keeps its permissions; another file gets the default ones."""
    private, usual, other = tmp_path / "private.svg", tmp_path / "usual.svg", tmp_path / "other"
    private.touch(mode=0o600)
    other.touch()
    for path in (private, usual):
        plots.save(plots.scaling(published()), path)

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(usual.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    assert private.read_bytes() == usual.read_bytes()


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    """OutputError names the missing folder, and no folder is made."""
    with pytest.raises(OutputError, match="no such folder"):
        plots.save(plots.scaling(published()), tmp_path / "none" / "cost.png")

    assert list(tmp_path.iterdir()) == []


def test_the_package_loads_without_plots() -> None:
    """`import mbanalyze` loads neither Matplotlib nor pandas."""
    script = "import sys, mbanalyze; print(sorted({'matplotlib', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("plot", [plots.profile, plots.pareto, plots.costs, plots.shares, plots.comparison])
def test_a_name_is_no_result(plot: Any) -> None:
    """A model's name instead of its result raises PlotError, which says what to give."""
    with pytest.raises(plots.PlotError, match=r"cannot draw 'mobilenet_v2': give a result"):
        plot("mobilenet_v2")
