"""Pictures: each point is a row of the frame, and everything on them can be read."""

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
from mbanalyze.plots.drawing import PlotError
from mbanalyze.report.network import Report
from mbanalyze.report.rows import block
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.budget import search

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
def ablation(variant: str = "mobilenet_v1") -> pd.DataFrame:
    """Each published variant of a network with its costs and its accuracy, once."""
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
    """Several networks, with what is on their front."""
    frame = pd.concat([ablation(variant) for variant in NETWORKS], ignore_index=True)
    return frame.assign(front=on_front(frame, "macs", "top1"))


def on_front(frame: pd.DataFrame, cost: str, objective: str) -> list[bool]:
    """Whether no other row is better than a row in one of both, and as good in the other."""
    rows = pairs(frame, cost, objective)
    return [not any(a <= x and b >= y and (a, b) != (x, y) for a, b in rows) for x, y in rows]


RANGE = [round(0.35 + 0.05 * i, 2) for i in range(22)]
"""More alphas than there are markers: 0.35 to 1.4."""
SIZES = list(range(96, 321, 16))
"""More resolutions than there are markers."""


@functools.cache
def graded(alphas: tuple[float, ...], sizes: tuple[int, ...]) -> pd.DataFrame:
    """MobileNet V2 at any alpha and resolution, with an accuracy that is none."""
    frame = ablate("mobilenet_v2", alpha=list(alphas), resolution=list(sizes))
    return frame.assign(top1=[70 + i / len(frame) for i in range(len(frame))])


@functools.cache
def found(objective: str = "top1") -> pd.DataFrame:
    """What a search finds."""
    frame = search("all", max_macs=600_000_000, objective=objective).frame  # type: ignore[arg-type]
    return frame[frame["fits"]]


@functools.cache
def traced() -> pd.DataFrame:
    """A factory's variants, whose macs are nullable integers."""

    def build(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
        )

    return ablate(build, (1, 3, 32, 32), width=[8, 16], resolution=[32, 64])


@functools.cache
def network(name: str = "mobilenet_v1") -> Report:
    """A report in closed form."""
    return count(name)


PICTURES: dict[str, tuple[Callable[..., Axes], Callable[[], pd.DataFrame]]] = {
    "tradeoff": (plots.tradeoff, ablation),
    "tradeoff of MobileNet V2": (plots.tradeoff, lambda: ablation("mobilenet_v2")),
    "tradeoff of what ablate finds": (
        plots.tradeoff,
        lambda: ablate(
            "mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35], resolution=[224, 192, 160, 128, 96]
        ),
    ),
    "tradeoff of a range of alphas": (plots.tradeoff, lambda: graded((*RANGE,), (96, 128, 160, 192, 224))),
    "tradeoff of a range of resolutions": (plots.tradeoff, lambda: graded((0.5, 1), (*SIZES,))),
    "tradeoff of two ranges": (plots.tradeoff, lambda: graded((*RANGE,), (*SIZES,))),
    "scaling": (plots.scaling, ablation),
    "scaling of close alphas": (
        plots.scaling,
        lambda: ablate("mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35]),
    ),
    "scaling of a range of alphas": (plots.scaling, lambda: ablate("mobilenet_v2", alpha=RANGE)),
    "scaling of what ablate finds": (
        functools.partial(plots.scaling, against="rho"),
        lambda: ablate("mobilenet_v1", rho=[1, 0.857, 0.714, 0.571]),
    ),
    "scaling of a factory": (functools.partial(plots.scaling, against="resolution"), traced),
    "scaling by rho": (functools.partial(plots.scaling, against="rho"), ablation),
    "pareto": (plots.pareto, networks),
    "pareto of what search finds": (plots.pareto, found),
    "pareto of macs": (functools.partial(plots.pareto, objective="macs"), lambda: found("macs")),
    "pareto of two costs": (
        plots.pareto,
        lambda: search("mobilenet", max_macs=150_000_000, max_params=3_000_000).frame.query("fits"),
    ),
    "tradeoff of groups": (
        plots.tradeoff,
        lambda: ablate("shufflenet_v1", alpha=[1, 2], groups=[1, 2, 3]).assign(top1=range(60, 66)),
    ),
    "pareto of params": (functools.partial(plots.pareto, objective="params"), lambda: found("params")),
    "profile": (plots.profile, lambda: network().frame()),
    "profile of MobileNet V3": (plots.profile, lambda: network("mobilenet_v3_large").frame()),
    "shares": (plots.shares, lambda: network().frame()),
    "three shares of MobileNet V3": (
        functools.partial(plots.shares, counts=("macs", "params", "memory_access")),
        lambda: network("mobilenet_v3_large").frame(),
    ),
    "bound": (plots.bound, lambda: plots.convolutions_frame(network())),
    "bound of ShuffleNet V2": (plots.bound, lambda: plots.convolutions_frame(network("shufflenet_v2"))),
    "intensity": (plots.intensity, lambda: network().frame()),
    "intensity of MobileNet V3": (plots.intensity, lambda: network("mobilenet_v3_large").frame()),
}


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """No test sees another's figures."""
    plt.close("all")
    yield
    plt.close("all")


def points_of(array: Any) -> list[tuple[float, float]]:
    """Rows of an array as points."""
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


def test_tradeoff_draws_each_row_by_resolution_and_alpha() -> None:
    """MobileNet V1's 16 variants: cost and accuracy as in the frame, a scatter a resolution, alpha its colours."""
    frame = ablation()
    ax = plots.tradeoff(frame)

    assert len(frame) == sum(map(len, scattered(ax).values())) == 16
    for resolution, rows in frame.groupby("resolution"):
        assert pairs(rows, "macs", "top1") == scattered(ax)[f"resolution-{resolution}"]
    for points in ax.collections:
        assert {0.25, 0.5, 0.75, 1} == set(points.get_array())  # type: ignore[arg-type]
    assert ax.get_xscale() == "log"


def test_a_figure_is_as_wide_as_a_page() -> None:
    """Without axes; its text finds room by itself."""
    figure = plots.tradeoff(ablation()).figure

    assert tuple(figure.get_size_inches()) == plots.PAGE  # type: ignore[union-attr]
    assert figure.get_layout_engine() is not None


def test_tradeoff_leaves_out_what_has_no_accuracy() -> None:
    """A row without an accuracy is no point, and does without alpha and resolution."""
    frame = ablation()[["params", "top1"]].copy()
    frame.loc[::2, "top1"] = None
    ax = plots.tradeoff(frame, cost="params")

    assert [pairs(frame[1::2], "params", "top1")] == list(scattered(ax).values())
    assert ax.get_legend() is None


def test_tradeoff_of_many_alphas_names_some() -> None:
    """Colour goes on where markers would end; the legend has both ends of the range and some between."""
    _, ax = plt.subplots(figsize=plots.COLUMN, layout="constrained")
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


def test_tradeoff_of_many_resolutions_colours_them() -> None:
    """Where there are fewer alphas than markers, these are what markers tell; else nothing is."""
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
    """Params and macs of the rows where the other option is largest, in per cent of the largest row's."""
    frame = ablation()
    ax = plots.scaling(frame.sample(frac=1, random_state=0), against=against)
    rows = frame[frame[held] == largest].sort_values(against)

    for name in ("params", "macs"):
        expected = rows.assign(share=100 * rows[name] / rows[name].iloc[-1])
        assert pairs(expected, against, "share") == sorted(plotted(ax)[name])


def test_scaling_draws_the_quadratic_law() -> None:
    """A quarter of the width costs a sixteenth: the law is a dashed line between these, straight on two logarithms."""
    ax = plots.scaling(ablation())

    assert plotted(ax)["law"] == [(0.25, 6.25), (1, 100)]
    assert [(line.get_linestyle(), line.get_label()) for line in ax.lines[:1]] == [("--", "alpha²")]
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_scaling_holds_every_other_option() -> None:
    """A factory's width is its largest, 16, so that there is one point a resolution."""
    frame = traced()
    points = plotted(plots.scaling(frame, against="resolution"))
    wide = frame[frame["width"] == 16]

    assert [(32, 100 * wide["macs"].iloc[0] / wide["macs"].iloc[1]), (64, 100)] == points["macs"]
    assert points["params"] == [(32, 100), (64, 100)]


def test_scaling_names_the_alphas_that_have_room() -> None:
    """Of 1.3 and 1.4, which stand close together in a column, the larger; on a page both."""
    _, ax = plt.subplots(figsize=plots.COLUMN, layout="constrained")
    frame = ablate("mobilenet_v2", alpha=[1.4, 1.3, 1, 0.75, 0.5, 0.35])
    plots.scaling(frame, ax)
    _, page = plt.subplots(figsize=(2 * plots.PAGE[0], plots.PAGE[1]), layout="constrained")
    plots.scaling(frame, page)

    assert sorted(ax.get_xticks()) == [0.35, 0.5, 0.75, 1, 1.4]
    assert sorted(page.get_xticks()) == [0.35, 0.5, 0.75, 1, 1.3, 1.4]


def test_pareto_joins_the_front() -> None:
    """Points by model, on and behind the front; the front in order of cost."""
    frame = networks()
    ax = plots.pareto(frame)
    points = scattered(ax)
    front = frame[frame["front"]].sort_values("macs")

    assert pairs(front, "macs", "top1") == plotted(ax)["front"]
    for model, rows in frame.groupby("model"):
        assert pairs(rows[rows["front"]], "macs", "top1") == points[f"{model}-front"]
        assert pairs(rows[~rows["front"]], "macs", "top1") == points[f"{model}-behind"]


def test_pareto_names_the_front() -> None:
    """On a page each point of the front has its model, alpha and resolution beside it."""
    frame = networks()
    ax = plots.pareto(frame)
    front = frame[frame["front"]]
    names = {
        (f"{row.model} {row.alpha:g}/{row.resolution}", row.macs, row.top1) for row in front.itertuples()
    }

    assert names == {(note.get_text(), *note.xy) for note in ax.texts}  # type: ignore[attr-defined]


def test_pareto_in_a_column_shortens_what_has_no_room() -> None:
    """There, alpha and resolution are enough, as colour and marker give the model; most have room."""
    frame = networks()
    front = frame[frame["front"]]
    _, ax = plt.subplots(figsize=plots.COLUMN, layout="constrained")
    plots.pareto(frame, ax)
    names = {(f"{row.alpha:g}/{row.resolution}", row.macs, row.top1) for row in front.itertuples()}
    written = {(note.get_text(), *note.xy) for note in ax.texts}  # type: ignore[attr-defined]

    assert written <= names
    assert len(written) > 0.75 * len(names)


def test_pareto_names_models_that_have_no_options() -> None:
    """Without alpha and resolution the label is the model; what is behind the front has none."""
    ax = plots.pareto(pd.DataFrame({"model": ["a", "b"], "macs": [10, 20], "top1": [60.0, 50.0]}))

    assert [note.get_text() for note in ax.texts] == ["a"]
    assert {k: v for k, v in scattered(ax).items() if v} == {"a-front": [(10, 60)], "b-behind": [(20, 50)]}


@pytest.mark.parametrize(
    ("objective", "cost"), [("top1", "macs"), ("macs", "params"), ("params", "macs"), ("top1", "params")]
)
def test_the_front_is_that_of_what_is_drawn(objective: str, cost: str) -> None:
    """Whatever the search was for: no other network costs as little and has as much of the objective."""
    frame = found().dropna(subset="top1") if objective == "top1" else found(objective)
    ax = plots.pareto(
        frame, cost=None if (objective, cost) != ("top1", "params") else cost, objective=objective
    )
    front = frame[on_front(frame, cost, objective)].drop_duplicates([cost, objective]).sort_values(cost)

    assert pairs(front, cost, objective) == plotted(ax)["front"]
    assert len(front) > 1
    assert ax.get_yscale() == ("linear" if objective == "top1" else "log")


def test_pareto_of_every_network() -> None:
    """Of sixteen architectures, those on the front have a colour and a marker each, and the others are grey."""
    frame = search("all", objective="macs").frame
    ax = plots.pareto(frame, objective="macs")
    leading = set(frame["model"][frame["front"]])
    legend = ax.get_legend()
    assert legend is not None
    keys = {str(key.get_label()): key for key in legend.legend_handles if key is not None}
    looks = {(keys[name].get_color(), keys[name].get_marker()) for name in leading}  # type: ignore[attr-defined]

    assert {*leading, "other", "Pareto front"} == set(keys)
    assert len(leading) == len(looks) < len(ARCHS) == 16
    assert sum(map(len, scattered(ax).values())) == len(frame)


def test_pareto_fills_what_the_frame_says_is_on_the_front() -> None:
    """A search weighs more than one cost: its front is filled and named, and the line joins that of what is drawn."""
    frame = search("mobilenet", max_macs=150_000_000, max_params=3_000_000).frame
    rows = frame[frame["fits"]].dropna(subset="top1")
    for cost in ("macs", "params"):
        ax = plots.pareto(rows, cost=cost)
        filled = [point for gid, some in scattered(ax).items() if gid.endswith("-front") for point in some]

        assert sorted(pairs(rows[rows["front"]], cost, "top1")) == sorted(filled)
        assert set(plotted(ax)["front"]) < set(filled)


def test_pareto_names_options_that_alone_tell() -> None:
    """Only where another of the model has the same alpha and resolution."""
    same = {"model": "a", "alpha": 1.0, "resolution": 96}
    rows = [
        same | {"options": "groups=1", "macs": 10, "top1": 60.0},
        same | {"options": "groups=2", "macs": 20, "top1": 70.0},
        same | {"options": "groups=1", "resolution": 128, "macs": 30, "top1": 80.0},
    ]
    ax = plots.pareto(pd.DataFrame(rows))

    assert {"a 1/96 groups=1", "a 1/96 groups=2", "a 1/128"} == {note.get_text() for note in ax.texts}


def test_tradeoff_tells_every_option() -> None:
    """Groups have colours where nothing else varies, markers beside alpha; what varies further goes with them."""
    frame = ablate("shufflenet_v1", groups=[1, 2, 3]).assign(top1=[65.0, 66, 67])
    ax = plots.tradeoff(frame)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["groups", "1", "2", "3"]
    assert {1.0, 2.0, 3.0} == {value for points in ax.collections for value in points.get_array()}  # type: ignore[union-attr]

    both = ablate("shufflenet_v1", alpha=[1, 2], groups=[1, 2]).assign(top1=range(60, 64))
    assert {"groups-1", "groups-2"} == set(scattered(plots.tradeoff(both)))
    every = ablate("shufflenet_v1", alpha=[1, 2], resolution=[96, 224], groups=[1, 2]).assign(
        top1=range(60, 68)
    )
    forms = {f"resolution, groups-{r}, {g}" for r in (96, 224) for g in (1, 2)}
    assert forms == set(scattered(plots.tradeoff(every)))
    words = ablate("mobilenet_v3_small", width_rule=["paper", "torchvision"], alpha=0.5).assign(top1=[1, 2])
    legend = plots.tradeoff(words).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["width_rule", "paper", "torchvision"]
    some = ablate("mobilenet_v2", alpha=[0.5, 1], resolution=[96, 224]).assign(top1=range(60, 64))
    some.insert(0, "options", ["", "a=1", "", "a=1"])
    assert {"resolution, options-96", "resolution, options-224, a=1"} == set(scattered(plots.tradeoff(some)))


@pytest.mark.parametrize("none", [0.0, -5.0, float("inf"), float("nan")])
def test_what_a_logarithm_has_no_place_for_is_left_out(none: float) -> None:
    """A row without a finite cost above 0 is no point; if no row has one, the message says so."""
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


def test_variants_show_what_they_can() -> None:
    """Accuracy where some is published, else the law of what varies."""
    assert plots.variants(ablation()).get_ylabel() == "top-1 accuracy (%)"
    assert plots.variants(ablate("resnet50", resolution=[96, 128])).get_xlabel() == "resolution"
    assert plots.variants(ablate("mnasnet", alpha=[0.6, 1])).get_xlabel() == "alpha"
    with pytest.raises(PlotError, match="several alphas or resolutions"):
        plots.variants(ablate("mnasnet"))


def test_pareto_leaves_out_what_has_no_objective() -> None:
    """A row without an accuracy is neither behind the front nor on it."""
    frame = networks().copy()
    frame.loc[frame["model"] == "mobilenet_v3_large", "top1"] = None
    ax = plots.pareto(frame)
    known = frame.dropna(subset="top1")

    assert not any("large" in gid for gid in scattered(ax))
    assert sum(on_front(known, "macs", "top1")) == len(plotted(ax)["front"])


def test_profile_draws_shares_along_depth() -> None:
    """Each count in per cent of the report's totals, at the operator's place; none of a count is no point."""
    report = network()
    points = plotted(plots.profile(report.frame()))

    for name in ("macs", "params", "memory_access"):
        counts = [getattr(row.cost, name) for row in report.rows]
        total = getattr(report.totals, name)
        assert [(i, 100 * n / total) for i, n in enumerate(counts) if n] == points[name]


def test_profile_shades_every_other_block() -> None:
    """MobileNet V1's stem is its first block, of three operators, and the second of its 13 blocks is not shaded."""
    report = network()
    ax = plots.profile(report.frame())
    blocks = [len(list(rows)) for _, rows in itertools.groupby(report.rows, lambda row: block(row.op.path))]
    ends = [0, *itertools.accumulate(blocks)]
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in ax.patches]  # type: ignore[attr-defined]

    assert [(start - 0.5, end - 0.5) for start, end in itertools.pairwise(ends)][::2] == bands
    assert bands[0] == (-0.5, 2.5)


def test_profile_does_without_what_is_unknown() -> None:
    """An operator that nobody could count is no point, and is nothing of the total."""
    frame = network().frame()
    frame.loc[0, "macs"] = pd.NA
    known = frame["macs"].sum()
    points = plotted(plots.profile(frame))["macs"]

    assert (3, 100 * frame["macs"][3] / known) == points[0]


def test_shares_are_the_papers_table_2() -> None:
    """94.86 % of MobileNet V1's macs are pointwise, 24.33 % of its params linear, but for what the paper leaves out."""
    ax = plots.shares(network().frame())
    macs, params = ([bar.get_width() for bar in bars] for bars in ax.containers)
    kinds = [label.get_text() for label in ax.get_yticklabels()]

    assert kinds == ["pointwise conv", "linear", "depthwise conv", "standard conv", "other"]
    # Table 2 prints 1.19 for the first layer, with which its column sums to 99.29 and not to 100
    assert pytest.approx([94.86, 0.18, 3.06, 1.91, 0], abs=0.005) == macs
    # its params are without batch norm, which has 0.52 % of them, and without the bias
    assert pytest.approx([74.59, 24.33, 1.06, 0.02, 0], abs=0.53) == params
    assert pytest.approx(100) == sum(macs)
    assert pytest.approx(100) == sum(params)


def test_shares_are_the_reports() -> None:
    """Each bar is the share of its kind, and has it written beside it; nothing where there is none."""
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


def test_shares_merge_what_is_small() -> None:
    """Kinds below `least` in every count are one."""
    ax = plots.shares(network().frame(), least=50)

    assert [label.get_text() for label in ax.get_yticklabels()] == ["pointwise conv", "other"]


def test_convolutions_frame_is_what_the_guidelines_say() -> None:
    """A row for each convolution, in order, whose memory access is its bound and what is above it."""
    frame = plots.convolutions_frame(network())
    parts = frame["bound"] + frame["imbalance"] + frame["grouping"] + frame["bias"]

    assert [row.op.path for row in network().rows if row.op.kind == "conv"] == list(frame["path"])
    assert pytest.approx(list(parts)) == list(frame["memory_access"])
    assert list(frame["memory_access"] / frame["bound"]) == list(frame["ratio"])


def test_bound_draws_memory_access_over_its_bound() -> None:
    """Both in elements, convolution by convolution; the ratio is written under the bound."""
    frame = plots.convolutions_frame(network())
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
    """Each operator's, by class: MobileNet V1 has convolutions, a linear layer, ReLU, and batch norm and a pooling."""
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
def test_axes_say_what_they_are_and_in_what(name: str) -> None:
    """Names of axes, with units."""
    draw, frame = PICTURES[name]
    ax = draw(frame())

    assert UNITS[name] == (ax.get_xlabel(), ax.get_ylabel())


def texts(ax: Axes) -> list[Text]:
    """Everything written on the axes, but their legend."""
    ticks = [
        tick.label1
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim())))
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    return [text for text in (*ax.texts, *ticks, ax.xaxis.label, ax.yaxis.label) if text.get_text()]


@pytest.mark.parametrize("size", [plots.COLUMN, plots.PAGE], ids=["column", "page"])
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_written_overlaps(name: str, size: tuple[float, float]) -> None:
    """Labels, ticks, names and the legend keep clear of one another, the legend of the data, all inside."""
    draw, frame = PICTURES[name]
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    draw(frame(), ax)
    figure.draw_without_rendering()
    # the extent of an annotation would have the line to its point in it
    written = {text: Text.get_window_extent(text) for text in texts(ax)}
    legend = ax.get_legend()
    assert legend is not None
    key = legend.get_window_extent()

    assert not [(a, b) for a, b in itertools.combinations(written, 2) if written[a].overlaps(written[b])]
    assert not [text for text, box in written.items() if box.overlaps(key)]
    assert not key.overlaps(ax.bbox.padded(-1))
    for box in (*written.values(), key):
        assert Bbox.union([box, figure.bbox]).bounds == pytest.approx(figure.bbox.bounds, abs=1)


@pytest.mark.parametrize("name", PICTURES)
def test_frames_stay_as_they_were(name: str) -> None:
    """Drawing changes no value, column or index."""
    draw, frame = PICTURES[name]
    before = frame().copy(deep=True)
    draw(frame())

    pd.testing.assert_frame_equal(before, frame())


@pytest.mark.parametrize("name", PICTURES)
def test_axes_given_are_drawn_on(name: str) -> None:
    """Axes that are given come back, and no figure is made; settings stay."""
    draw, frame = PICTURES[name]
    settings = mpl.rcParams.copy()
    _, ax = plt.subplots()

    assert ax is draw(frame(), ax)
    assert len(plt.get_fignums()) == 1
    assert settings == mpl.rcParams


@pytest.mark.parametrize(
    ("draw", "frame", "message"),
    [
        (plots.tradeoff, pd.DataFrame({"macs": [1.0], "top1": [None]}), "no row of the frame has macs and top1"),
        (plots.tradeoff, pd.DataFrame({"macs": [1.0]}), "no column 'top1', only macs"),
        (plots.tradeoff, pd.DataFrame({"macs": ["569 M"], "top1": [70.6]}), "'macs' holds something that is no"),
        (plots.scaling, pd.DataFrame({"macs": [1.0], "params": [1]}), "no column 'alpha'"),
        (plots.scaling, pd.DataFrame({"alpha": [1], "macs": [1.0], "params": [1]}), "no two rows .* differ in alpha$"),
        (
            plots.scaling,
            pd.DataFrame({"alpha": [1, 2], "width": [1, 2], "macs": [1.0, 2], "params": [1, 2]}),
            "no two rows of the frame differ in alpha, but for the same width",
        ),
        (plots.pareto, pd.DataFrame({"macs": [1.0], "top1": [1]}), "no column 'model'"),
        (plots.pareto, pd.DataFrame({"macs": range(1, 22), "top1": range(1, 22), "model": range(21)}), "21 are too many to tell"),
        (functools.partial(plots.pareto, cost="top1"), pd.DataFrame(), "cost and objective are both top1"),
        (plots.profile, pd.DataFrame({"path": ["a"], "macs": [0]}), "no operator of the frame has multiply-acc"),
        (plots.shares, pd.DataFrame({"kind": ["a"], "variant": [None], "macs": [0]}), "no operator of the frame"),
        (plots.bound, pd.DataFrame({"path": [], "memory_access": [], "bound": []}), "no row of the frame has mem"),
        (plots.intensity, network().only("dropout").frame(), "no operator of the frame has flops"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(draw: Callable[..., Axes], frame: Any, message: str) -> None:
    """One line, and no figure left open."""
    with pytest.raises(PlotError, match=message):
        draw(frame)

    assert plt.get_fignums() == []


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_saved_twice_is_the_same(suffix: str, tmp_path: Path) -> None:
    """The same frame gives the same bytes, without a date; from its axes or from its figure."""
    once, again = tmp_path / f"once{suffix}", tmp_path / f"again{suffix}"
    plots.save(plots.scaling(ablation()), once)
    plots.save(plots.scaling(ablation()).get_figure(), again)  # type: ignore[arg-type]

    assert once.read_bytes() == again.read_bytes()
    assert not any(word in once.read_bytes() for word in (b"dc:date", b"CreationDate"))
    assert [again, once] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_carries_its_description(suffix: str, tmp_path: Path) -> None:
    """As text in its metadata; without one there is none."""
    told, silent = tmp_path / f"told{suffix}", tmp_path / f"silent{suffix}"
    plots.save(plots.scaling(ablation()), told, 'macs {"a": 1} <b>')
    plots.save(plots.scaling(ablation()), silent)
    escaped = b'macs {"a": 1} &lt;b&gt;' if suffix == ".svg" else b'macs {"a": 1} <b>'

    assert escaped in told.read_bytes()
    assert not any(word in silent.read_bytes() for word in (b"Description", b"dc:description", b"/Subject"))


def test_a_picture_can_be_traced_to_its_rows(tmp_path: Path) -> None:
    """An SVG names what each group of points is."""
    plots.save(plots.tradeoff(ablation()), tmp_path / "tradeoff.svg")

    assert 'id="resolution-160"' in (tmp_path / "tradeoff.svg").read_text()


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    """The message lists the three that there are."""
    with pytest.raises(PlotError, match=r"'cost\.jpg': choose one of \.png, \.svg, \.pdf"):
        plots.save(plots.scaling(ablation()), tmp_path / "cost.jpg")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk the picture that was there is whole, and nothing lies beside it."""

    def full(_: Path, __: Path) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "cost.png"
    target.write_text("old")
    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(OutputError, match=r"cannot write .*cost.png: No space left"):
        plots.save(plots.scaling(ablation()), target)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_picture_keeps_the_files_permissions(tmp_path: Path) -> None:
    """What others may not read stays so; a new file has the user's usual permissions."""
    private, usual, other = tmp_path / "private.svg", tmp_path / "usual.svg", tmp_path / "other"
    private.touch(mode=0o600)
    other.touch()
    for path in (private, usual):
        plots.save(plots.scaling(ablation()), path)

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(usual.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    assert private.read_bytes() == usual.read_bytes()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Nothing is made on the way."""
    with pytest.raises(OutputError, match="no such folder"):
        plots.save(plots.scaling(ablation()), tmp_path / "none" / "cost.png")

    assert list(tmp_path.iterdir()) == []


def test_the_package_loads_without_pictures() -> None:
    """`import mbanalyze` loads neither Matplotlib nor pandas."""
    script = "import sys, mbanalyze; print(sorted({'matplotlib', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
