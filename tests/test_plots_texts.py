"""Plots say what they show: titles, legends, notes, limits and ticks, at small and large sizes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from math import nan
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from torch import nn

from mbanalyze import compare, count, memory, plots
from mbanalyze.inputs.plot_size import PlotSizeError, parse_size
from mbanalyze.memory_access.analysis import guidelines
from mbanalyze.plots.drawing import PlotError
from mbanalyze.sweep.ablation import ablate
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.best_variants import Search, search

mpl.use("Agg")


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close all figures after each test."""
    yield
    plt.close("all")


def build(width: int = 8, depth: int = 1, act: str = "relu") -> nn.Module:
    """A small network with three options."""
    layers = [
        layer
        for _ in range(depth)
        for layer in (nn.Conv2d(width, width, 3, 1, 1), nn.ReLU() if act == "relu" else nn.SiLU())
    ]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    return nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), *layers, *head)


@functools.cache
def factory(*options: str) -> Ablation:
    """The variants of the factory over some of its options."""
    values: dict[str, Any] = {"width": [8, 16, 32], "depth": [1, 2], "act": ["relu", "silu"]}
    return ablate(build, (1, 3, 32, 32), **dict[str, Any]({name: values[name] for name in options}))


@functools.cache
def small() -> Search:
    """A search with two limits."""
    return search("mobilenet", max_macs=60_000_000, max_params=2_500_000)


@functools.cache
def few() -> Search:
    """A search that ranks by multiply-accumulates, which it limits."""
    return search("mobilenet_v2", max_macs=300_000_000, objective="macs", alpha=[0.5, 1, 1.4])


def legend_of(ax: Axes) -> list[str]:
    """The texts of the legend."""
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def as_points(array: Any) -> list[tuple[float, float]]:
    """The rows of an array as points."""
    return [(float(x), float(y)) for x, y in array]


def lines_of(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each line, by its identifier."""
    return {str(line.get_gid()): as_points(line.get_xydata()) for line in ax.lines}


def points_of(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each scatter, by its identifier."""
    return {str(some.get_gid()): as_points(some.get_offsets()) for some in ax.collections}


def text_of(ax: Axes, gid: str) -> str:
    """The text with an identifier; "" without one."""
    return next((text.get_text() for text in ax.texts if text.get_gid() == gid), "")


PLOTS: dict[str, tuple[Callable[..., Axes], Callable[[], Any]]] = {
    "search": (plots.pareto, small),
    "search of macs": (plots.pareto, few),
    "nothing fits": (plots.pareto, lambda: search("mobilenet", max_macs=1_000_000)),
    "tradeoff": (
        plots.ablation,
        lambda: ablate("mobilenet_v1", alpha=[1, 0.75, 0.6], resolution=[224, 192]),
    ),
    "scaling": (plots.ablation, lambda: ablate("mobilenet_v2", alpha=[0.5, 1, 2], num_classes=10)),
    "one option": (plots.ablation, lambda: factory("width")),
    "words": (plots.ablation, lambda: factory("act")),
    "three options": (plots.ablation, lambda: factory("width", "depth", "act")),
    "two models": (
        plots.comparison,
        lambda: compare("mobilenet_v2", "mobilenet_v2@alpha=0.75,resolution=192"),
    ),
    "four models": (
        plots.comparison,
        lambda: compare("mobilenet_v1", "mobilenet_v2", "shufflenet_v2", "squeezenet1_0"),
    ),
    "profile": (plots.profile, lambda: count("mobilenet_v2")),
    "memory": (plots.memory, lambda: memory("googlenet", dtype="int8", account="deployed")),
    "shares": (plots.shares, lambda: count("mobilenet_v2")),
    "bound": (plots.bound, lambda: guidelines("mobilenet_v2")),
    "intensity": (plots.intensity, lambda: count("mobilenet_v2")),
}


def texts(ax: Axes) -> list[Text]:
    """All visible texts of the axes except the legend."""
    ticks = [
        tick.label1
        for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim())))
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high
    ]
    title = ax._left_title  # type: ignore[attr-defined]  # matplotlib has no public name for it
    found = [*ax.texts, *ticks, ax.xaxis.label, ax.yaxis.label, title]
    return [text for text in found if text.get_text()]


def box_of(text: Text) -> Bbox:
    """The box of a text, without the leader line of an annotation."""
    return Text.get_window_extent(text)


@pytest.mark.parametrize("size", [(5, 3.5), (10, 7)], ids=["small", "large"])
@pytest.mark.parametrize("name", PLOTS)
def test_texts_are_legible_at_both_sizes(name: str, size: tuple[float, float]) -> None:
    """No text overlaps another or the legend, all are in the figure, and both axes have two ticks or more."""
    draw, data = PLOTS[name]
    ax = draw(data(), size=size)
    figure = ax.get_figure()
    assert figure is not None
    figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes = {text: box_of(text) for text in texts(ax)}
    legend = ax.get_legend()
    assert legend is not None
    key = legend.get_window_extent()

    overlapping = [
        (one.get_text(), other.get_text())
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one].overlaps(boxes[other])
    ]
    assert overlapping == []
    assert [text.get_text() for text, box in boxes.items() if box.overlaps(key)] == []
    for box in (*boxes.values(), key):
        assert Bbox.union([box, figure.bbox]).bounds == pytest.approx(figure.bbox.bounds, abs=1)
    for axis, (low, high) in ((ax.xaxis, sorted(ax.get_xlim())), (ax.yaxis, sorted(ax.get_ylim()))):
        assert sum(low <= tick <= high for tick in axis.get_majorticklocs()) >= 2
    assert size == tuple(figure.get_size_inches())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("draw", "data", "title"),
    [
        (plots.profile, lambda: count("mobilenet_v2"), "mobilenet_v2, 1x3x224x224"),
        (plots.shares, lambda: count("mobilenet_v2", alpha=0.75, resolution=96), "mobilenet_v2@alpha=0.75, 1x3x96x96"),
        (plots.bound, lambda: guidelines("mobilenet_v2"), "mobilenet_v2, 1x3x224x224"),
        (plots.memory, lambda: count("mobilenet_v2"), "mobilenet_v2, 1x3x224x224, float32, account ideal"),
        (plots.intensity, lambda: count(build(), (2, 3, 8, 8)), "Sequential, 2x3x8x8"),
        (plots.ablation, lambda: ablate("mobilenet_v1", alpha=[0.5, 1], batch=2), "mobilenet_v1, 2x3x224x224"),
        (
            plots.ablation,
            lambda: ablate("mobilenet_v1", alpha=0.5, resolution=[128, 224]),
            "mobilenet_v1, alpha=0.5, 1x3x128x128 to 1x3x224x224",
        ),
        (plots.ablation, lambda: factory("width"), "build, 1x3x32x32"),
        (
            plots.ablation,
            lambda: ablate(build, (1, 3, 8, 8), width=8, resolution=[16, 8]),
            "build, width=8, 1x3x8x8 to 1x3x16x16",
        ),
        (
            plots.ablation,
            lambda: ablate("mobilenet_v1", resolution=["160x224", 96], in_channels=1, num_classes=10),
            "mobilenet_v1, num_classes=10, 1x1x96x96 to 1x1x160x224",
        ),
        (plots.pareto, small, "mobilenet within 60 M multiply-accumulates and 2.5 M params"),
        (plots.pareto, lambda: search("all"), "all networks"),
        (plots.pareto, lambda: search("vgg", batch=2, objective="macs"), "vgg, batch 2"),
        (plots.comparison, lambda: compare("vgg16", "resnet50"), "relative to vgg16, 1x3x224x224"),
        (plots.pareto, lambda: small().frame(), ""),
    ],
)  # fmt: skip
def test_titles_name_model_and_input(draw: Callable[..., Axes], data: Callable[[], Any], title: str) -> None:
    """A result gives the title; a frame has none; a given title replaces it."""
    assert title == draw(data()).get_title("left").replace("\n", " ")
    assert draw(data(), title="mine").get_title("left") == "mine"


def test_a_search_shows_limits_and_best() -> None:
    """Filled and hollow points are explained, the limit is a line with a label, and the best variant has a ring."""
    found = small()
    ax = plots.pareto(found)
    assert found.best is not None
    entries = [
        "filled: front by macs, params",
        "hollow: behind it",
        "line: front by macs",
        "best: mobilenet_v3_small 0.75/224 width_rule=paper",
        "above a limit",
    ]

    assert entries == legend_of(ax)[4:]
    assert [(found.best["macs"], found.best["top1"])] == points_of(ax)["best"]
    assert {60_000_000} == {x for x, _ in lines_of(ax)["limit-x"]}
    assert text_of(ax, "limit-x-label") == "limit: 60 M multiply-accumulates"
    assert "limit-y" not in lines_of(ax)
    assert text_of(ax, "note").splitlines() == [
        "not drawn: 9 of 32 fitting variants (no accuracy)",
        "top-1 accuracy: 6 published sources",
        "labels: alpha/resolution",
    ]
    assert plots.left_out(found) == "not drawn: 9 of 32 fitting variants (no accuracy)"


def test_variants_above_a_limit_are_crosses() -> None:
    """They are the known variants that do not fit, up to twice the limit."""
    found = small()
    known = found.considered.dropna(subset="top1")
    near = known[~known["fits"] & (known["macs"] <= 120_000_000)]

    assert sorted(zip(near["macs"], near["top1"], strict=True)) == sorted(
        points_of(plots.pareto(found))["over"]
    )


def test_a_limit_of_the_objective_is_horizontal() -> None:
    """A search that ranks by what it limits has the limit on the y-axis; a far limit has no line."""
    ax = plots.pareto(few())
    far = plots.pareto(search("mobilenet", max_macs=10**15))

    assert {300_000_000} == {y for _, y in lines_of(ax)["limit-y"]}
    assert text_of(ax, "limit-y-label") == "limit: 300 M multiply-accumulates"
    assert not {"limit-x", "limit-y"} & set(lines_of(far))
    assert far.get_title("left") == "mobilenet within 1 P multiply-accumulates"


def test_a_search_in_which_nothing_fits_shows_the_nearest() -> None:
    """The variants nearest to the limit are drawn, and the legend explains these alone."""
    ax = plots.pareto(search("mobilenet", max_macs=1_000_000))

    assert legend_of(ax) == ["above a limit"]
    assert points_of(ax)["over"]
    assert "limit-x" in lines_of(ax)


def test_options_are_spelled_where_they_decide() -> None:
    """An option is in a label if another considered variant has the same size, drawn or not."""
    frame = pd.DataFrame(
        {"model": "a", "alpha": [1, 1, 0.5], "resolution": 96, "options": ["shallow=true", "", ""]}
    ).assign(macs=[10, 20, 5], top1=[60.0, nan, 50])
    ax = plots.pareto(frame)

    assert {"a 1/96 shallow=true", "a 0.5/96"} == {text.get_text() for text in ax.texts if not text.get_gid()}


def test_costs_are_lines_along_a_numeric_option() -> None:
    """Each count of a factory is a line through its values, and the axis has a tick at each value."""
    ablation = factory("width")
    frame = ablation.frame()
    ax = plots.ablation(ablation)

    for name in ("macs", "params"):
        assert list(zip([8, 16, 32], frame[name], strict=True)) == lines_of(ax)[name]
    assert {"-", "--"} == {line.get_linestyle() for line in ax.lines}
    assert sorted(ax.get_xticks()) == [8, 16, 32]
    assert legend_of(ax) == ["multiply-accumulates", "params"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "multiply-accumulates, params")


def test_costs_are_points_along_other_options() -> None:
    """The values of a word are categories, without lines between them."""
    ax = plots.ablation(factory("act"))

    assert {"None"} == {str(line.get_linestyle()) for line in ax.lines}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["relu", "silu"]


def test_other_options_are_series() -> None:
    """The numeric option with the most values is the axis, and each combination of the others a series."""
    ax = plots.ablation(factory("width", "depth", "act"))
    names = [f"depth={depth}, act={act}" for depth in (1, 2) for act in ("relu", "silu")]

    assert legend_of(ax) == ["multiply-accumulates", "params", *names]
    assert {f"{name}-{series}" for name in ("macs", "params") for series in names} == set(lines_of(ax))
    # series with equal costs have markers of different sizes
    assert len({line.get_markersize() for line in ax.lines}) == len(names)
    assert plots.costs(factory("width", "depth"), against="depth").get_xlabel() == "depth"


def test_more_series_than_styles_are_grey() -> None:
    """Twenty styles are distinguishable: of 25 series the last six share one grey entry."""
    rows = [
        {"width": w, "a": a, "macs": 10 * w * (a + 1), "params": w * (a + 1)}
        for a in range(25)
        for w in range(1, 27)
    ]
    ax = plots.costs(pd.DataFrame(rows))

    assert legend_of(ax)[-1] == "6 other combinations"
    assert len(ax.lines) == 50


def test_resolutions_that_are_not_square_are_ordered_by_pixels() -> None:
    """Height x width is spelled in ticks and legends, and its place is the side of the square of equal area."""
    sizes = ["120x480", 96, "90x160"]
    rows = pd.DataFrame({"alpha": 1.0, "resolution": sizes, "macs": [576, 92, 144], "params": [9, 9, 9]})
    scaled = plots.scaling(rows, against="resolution")
    coloured = plots.tradeoff(rows.assign(top1=[70.0, 50, 60]))
    labelled = plots.pareto(rows.assign(model="a", top1=[70.0, 50, 60]))

    # 90 x 160 = 120^2 and 120 x 480 = 240^2
    assert [x for x, _ in lines_of(scaled)["macs"]] == [96, 120, 240]
    assert {"96", "90x160", "120x480"} == {label.get_text() for label in scaled.get_xticklabels()}
    assert scaled.get_ylabel() == "relative to resolution 120x480 (%)"
    assert legend_of(coloured) == ["resolution", "96", "90x160", "120x480"]
    assert {"a 1/96", "a 1/90x160", "a 1/120x480"} == {
        t.get_text() for t in labelled.texts if not t.get_gid()
    }
    tuples = rows.assign(resolution=pd.Series([(120, 480), (96, 96), (90, 160)], dtype=object))
    assert legend_of(plots.tradeoff(tuples.assign(top1=[70.0, 50, 60])))[-1] == "120x480"


def with_sources(sources: list[str | None]) -> pd.DataFrame:
    """Variants with an accuracy from each source."""
    rows = range(len(sources))
    columns = {"alpha": [1.0 + i for i in rows], "resolution": 96, "macs": [10 * (i + 1) for i in rows]}
    return pd.DataFrame(
        {"model": "a", **columns, "top1": [50.0 + i for i in rows], "accuracy_source": sources}
    )


@pytest.mark.parametrize("draw", [plots.tradeoff, plots.pareto], ids=["tradeoff", "pareto"])
def test_sources_of_accuracy_are_marked(draw: Callable[..., Axes]) -> None:
    """Your accuracies and those of a second publication have a mark each over their points."""
    frame = with_sources(["paper A", "paper A", "yours (mine.csv)", "paper B"])
    ax = draw(frame)

    assert legend_of(ax)[-3:] == ["paper A", "yours (mine.csv)", "paper B"]
    assert points_of(ax)["source-1"] == [(30.0, 52.0)]
    assert points_of(ax)["source-2"] == [(40.0, 53.0)]


def test_a_single_source_is_a_note() -> None:
    """One publication needs no mark; your file alone is marked."""
    published = plots.ablation(with_sources(["paper A", "paper A"]))
    yours = plots.ablation(with_sources(["yours (mine.csv)", "yours (mine.csv)"]))

    assert text_of(published, "note") == "top-1 accuracy: paper A"
    assert "source-1" not in points_of(published)
    assert legend_of(yours)[-1] == "yours (mine.csv)"
    assert len(points_of(yours)["source-1"]) == 2


def test_your_metric_is_named() -> None:
    """An objective from your file has a note with the file; your accuracies are marked in a search too."""
    own = pd.DataFrame({"alpha": [1, 0.5], "resolution": 224, "top1": [70.0, 60], "map": [30, 20]})
    options: dict[str, Any] = {"alpha": [1, 0.5], "resolution": [224], "accuracy": own}
    mine = plots.pareto(search("mobilenet_v1", objective="map", **options))
    ranked = plots.pareto(search("mobilenet_v1", **options))

    assert "map: yours" in text_of(mine, "note").splitlines()
    assert mine.get_ylabel() == "map"
    assert "yours" in legend_of(ranked)


def test_many_sources_are_one_entry() -> None:
    """More publications than marks are counted: in an entry beside your file, else in a note."""
    papers = [f"paper {i}" for i in range(8)]
    mixed = plots.pareto(with_sources([*papers, "yours (mine.csv)"]))
    published = plots.pareto(with_sources([*papers]))

    assert legend_of(mixed)[-2:] == ["8 published sources", "yours (mine.csv)"]
    assert text_of(published, "note").startswith("top-1 accuracy: 8 published sources\n")
    assert legend_of(published)[-1] == "Pareto front"


def test_a_logarithmic_axis_of_a_narrow_range_has_ticks() -> None:
    """Between 401 and 409 there is no round number of a decade, so the ticks have even steps."""
    ax = plots.tradeoff(pd.DataFrame({"macs": [401e6, 409e6], "top1": [60.0, 61]}))
    low, high = ax.get_xlim()

    assert sum(low <= tick <= high for tick in ax.get_xticks()) >= 2
    assert all(label.get_text().endswith(" M") for label in ax.get_xticklabels())


def test_a_comparison_draws_each_total() -> None:
    """Each bar is a total in per cent of the first model's, with the total beside it."""
    both = compare("mobilenet_v2", "mobilenet_v2@alpha=0.75,resolution=192")
    ax = plots.comparison(both)
    names = ("macs", "params", "activations", "memory_access", "peak_bytes")

    for bars, ratios in zip(ax.containers, both.ratios, strict=True):
        assert [pytest.approx(100 * ratios[name]) for name in names] == [bar.get_width() for bar in bars]  # type: ignore[operator]
    assert list(both.labels) == legend_of(ax)
    assert ax.texts[5].get_text().startswith("153.9 M (51.2 %)")
    assert len({bar.get_hatch() for bars in ax.containers for bar in bars}) == 2
    # 4,089,184,256 / 300,774,272 macs
    assert "4.089 G (1,360 %)" in [
        each.get_text() for each in plots.comparison(compare("mobilenet_v2", "resnet50")).texts
    ]


def test_a_total_without_a_ratio_has_no_bar() -> None:
    """Activations are uncounted in one model: its total has no bar, and a note says so."""
    both = compare("mobilenet_v1", "mobilenet_v2").frame()
    ax = plots.comparison(both.assign(macs_ratio=[1.0, nan]))

    assert text_of(ax, "note").startswith("no bar: 1 total is zero, unknown or a lower bound")
    with pytest.raises(PlotError, match="no model has known macs"):
        plots.comparison(both.assign(macs_ratio=[nan, nan]), counts=["macs"])


@pytest.mark.parametrize(("text", "size"), [("8x5", (8, 5)), ("3.5X2.5", (3.5, 2.5)), (" 10 x 7 ", (10, 7))])
def test_sizes_are_parsed(text: str, size: tuple[float, float]) -> None:
    """A size is width x height in inches."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "malformed size '8': give width x height in inches, such as 8x5"),
        ("8x", "malformed size"),
        ("-8x5", "malformed size"),
        ("axb", "malformed size"),
        ("1e3x5", "malformed size"),
        ("2x5", "2x5 inches is out of range: give 3x2.5 to 40x40"),
        ("8x400", "8x400 inches is out of range"),
    ],
)
def test_bad_sizes_are_named(text: str, message: str) -> None:
    """The message says what to give."""
    with pytest.raises(PlotSizeError, match=message):
        parse_size(text)


@pytest.mark.parametrize("size", [(2, 2), (8, float("nan")), (8,), "8x5", None, 8, (8, 5, 3)])
def test_bad_sizes_in_python_are_named(size: Any) -> None:
    """A size in Python has the same limits; axes have a size of their own."""
    report = count("squeezenet1_0")
    if size is not None:
        with pytest.raises(PlotSizeError, match=r"size|out of range"):
            plots.profile(report, size=size)
    with pytest.raises(PlotError, match="give ax or size"):
        plots.profile(report, plt.subplots()[1], size=(8, 5))
