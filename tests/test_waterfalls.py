"""Waterfalls: bars from our macs to each counter's total, which add up exactly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from mbanalyze import count, plots
from mbanalyze.conventions.convention import Difference
from mbanalyze.crosscheck.explained_totals import CounterResult, ExplainedTotals
from mbanalyze.plots.drawing import PlotError
from mbanalyze.plots.waterfall_bars import Bar, axis_start, bars, merged

mpl.use("Agg")

MACS = 300_774_272
"""MobileNetV2 at 224 x 224."""


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close all figures after each test."""
    yield
    plt.close("all")


def counted(name: str, *amounts: int, unexplained: int = 0, unit: str = "macs") -> CounterResult:
    """A counter whose total differs from our macs by some amounts."""
    parts = tuple(Difference(f"part {i}", amount) for i, amount in enumerate(amounts))
    return CounterResult(name, "1.0", MACS + sum(amounts) + unexplained, unit, parts, unexplained)


def explained(*counters: CounterResult) -> ExplainedTotals:
    """MobileNetV2 with the results of some counters."""
    return ExplainedTotals(count("mobilenet_v2"), counters)


BATCH_NORM = counted("fvcore", 13_324_416, 62_720)
FAILED = CounterResult("thop", "0.1.1", None, "macs", (), None, "RuntimeError: no\nluck")
RESULTS = {
    "one counter": [BATCH_NORM],
    "no difference": [counted("calflops")],
    "a factor of 100": [counted("ptflops", -297_766_530)],
    "a tiny difference": [counted("ptflops-aten", 1_000)],
    "twice": [counted("flop-counter", MACS, unit="flops")],
    "below zero on the way": [counted("torchprofile", -400_000_000, 390_000_000, 5_000)],
    "unexplained": [counted("thop", 20_000_000, -3_000_000, unexplained=-4_000_000)],
    "many parts": [counted("ptflops", *(1_000_000 // i * (-1) ** i for i in range(1, 15)))],
    "nine counters": [counted(f"c{i}", *range(1_000_000, 1_000_000 + 50_000 * i, 50_000)) for i in range(9)],
}


def panels(figure: Figure) -> list[Axes]:
    """The axes of a figure, without the last, which has the legend."""
    return figure.axes[:-1]


def drawn(ax: Axes) -> list[tuple[int, int]]:
    """The start and the end of each bar, by position; the width of a bar that leads to the left is negative."""
    return [(int(bar.get_x()), int(bar.get_x() + bar.get_width())) for bar in ax.patches]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RESULTS)
def test_bars_lead_to_the_total(name: str) -> None:
    """Each difference starts at the end of the bar before, and the total begins at 0 and ends where they end."""
    figure = plots.waterfall(explained(*RESULTS[name]))

    assert len(panels(figure)) == len(RESULTS[name])
    for ax, result in zip(panels(figure), RESULTS[name], strict=True):
        ours, *parts, total = drawn(ax)
        assert ((0, MACS), (0, result.total)) == (ours, total)
        ends = [MACS, *(end for _, end in parts)]
        assert ends[:-1] == [start for start, _ in parts]
        assert ends[-1] == result.total


def test_the_smallest_differences_are_summed() -> None:
    """If five differences exceed the limit of three, the smallest three are summed; two stay separate."""
    parts = [Difference(name, amount) for name, amount in zip("abcde", (1, -70, 5, 60, -3), strict=True)]

    # 1 + 5 - 3
    assert merged(parts, 3) == [("b", -70), ("d", 60), ("3 smaller differences", 3)]
    assert merged([parts[0], parts[2]], 2) == [("c", 5), ("a", 1)]
    assert merged(parts, 1) == [("5 smaller differences", -7)]


def test_a_rest_is_a_bar_of_its_own() -> None:
    """The unexplained amount stands after the differences and before the total, with a hatch."""
    found = bars(MACS, counted("thop", 8, -3, unexplained=-4), 6)
    ax = panels(plots.waterfall(explained(counted("thop", 8, -3, unexplained=-4))))[0]

    assert found[-2:-1] == [("unexplained", MACS + 5, MACS + 1, "unexplained")]
    assert [bar.role for bar in found] == ["total", "more", "less", "unexplained", "total"]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("ends", "start"),
    [
        ((100, 100), 0),
        ((100, 200), 0),
        ((100, 3), 0),
        # a third of 14 below 300, in steps of 1
        ((300, 314, 313), 296),
        # a third of 13,387,136 below the macs is 296,311,894, in steps of 1,000,000
        ((MACS, 314_098_688, 314_161_408), 296_000_000),
        ((100, -300, 90), -300),
    ],
)
def test_an_axis_begins_below_small_differences(ends: tuple[int, ...], start: int) -> None:
    """An axis begins at 0 unless all ends are in its upper half."""
    assert start == axis_start([Bar("", 0, end, "total") for end in ends])


def test_an_axis_that_does_not_begin_at_zero_says_so() -> None:
    """Its label has its start, and both long bars are broken; an axis from 0 has neither."""
    small, large = panels(plots.waterfall(explained(BATCH_NORM, counted("ptflops", -297_766_530))))

    assert (small.get_xlabel(), large.get_xlabel()) == ("macs (axis begins at 296 M, not 0)", "macs")
    assert (small.get_xlim()[0], large.get_xlim()[0]) == (296_000_000, 0)
    # two strokes on each of two bars
    assert [sum(line.get_gid() == "break" for line in ax.lines) for ax in (small, large)] == [4, 0]


def test_ticks_of_a_tiny_difference_have_all_digits() -> None:
    """Ticks between 300,773,940 and 300,775,272 would be equal with six digits."""
    figure = plots.waterfall(explained(counted("ptflops-aten", 1_000)))
    figure.draw_without_rendering()
    ax = panels(figure)[0]
    ticks = [label.get_text() for label in ax.get_xticklabels()]

    # a third of 1,000 below the macs is 300,773,939, in steps of 100
    assert ax.get_xlabel() == "macs (axis begins at 300,773,900, not 0)"
    assert len(ticks) == len({*ticks}) >= 2
    assert ax.get_title("left") == "ptflops-aten 1.0: 300,775,272 macs (less than +0.01 %)"


def test_signs_read_without_colour() -> None:
    """An amount has its sign in words, and the arrow head at its end has the direction."""
    ax = panels(plots.waterfall(explained(counted("ptflops", 13_324_416, -62_720))))[0]

    assert [text.get_text() for text in ax.texts] == ["300.8 M", "+13.32 M", "−62.72 k", "314.0 M"]  # noqa: RUF001
    heads = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    assert [int(line.get_xdata()[0]) for line in heads] == [MACS + 13_324_416, MACS + 13_261_696]  # type: ignore[index, arg-type]
    assert len({line.get_marker() for line in heads}) == 2


def _title(figure: Figure) -> str:
    """The title above all panels; `get_suptitle` is not in every version."""
    assert figure._suptitle is not None  # type: ignore[attr-defined]
    text: str = figure._suptitle.get_text()  # type: ignore[attr-defined]
    return text


def test_titles_name_the_model_and_each_total() -> None:
    """The figure has the model and its input, and each panel the counter with its version, total and gap."""
    figure = plots.waterfall(explained(BATCH_NORM, counted("calflops")))

    assert _title(figure) == "mobilenet_v2, 1x3x224x224"
    # 13,387,136 / 300,774,272 = 0.0445
    assert [ax.get_title("left") for ax in panels(figure)] == [
        "fvcore 1.0: 314,161,408 macs (+4.45 %)",
        "calflops 1.0: 300,774,272 macs (equal to ours)",
    ]
    assert _title(plots.waterfall(explained(BATCH_NORM), title="mine")) == "mine"


def test_a_counter_without_a_total_is_a_sentence() -> None:
    """It has no panel; if no counter has a total, the error says why."""
    figure = plots.waterfall(explained(BATCH_NORM, FAILED))

    assert len(panels(figure)) == 1
    assert [text.get_text() for text in figure.axes[-1].texts] == ["thop: no total. RuntimeError: no luck"]
    with pytest.raises(PlotError, match=r"no counter has a total to draw: thop: no total\. RuntimeError"):
        plots.waterfall(explained(FAILED))


def test_other_results_have_no_waterfall() -> None:
    """The error names the function whose result has one."""
    with pytest.raises(PlotError, match=r"give the result of explain\(\.\.\.\)"):
        plots.waterfall(count("mobilenet_v2"))


def test_a_given_size_decides_how_many_differences_are_shown() -> None:
    """A higher figure has more bars; one that is too low for its panels says what it needs."""
    many = explained(*RESULTS["many parts"])
    low, high = (plots.waterfall(many, size=size) for size in ((5, 2.5), (5, 4)))

    assert len(drawn(low.axes[0])) < len(drawn(high.axes[0])) == 2 + 14
    assert "smaller differences" in [label.get_text() for label in low.axes[0].get_yticklabels()][-2]
    with pytest.raises(
        PlotError, match=r"9 panels need a height of 9\.\d inches: give a larger size or fewer"
    ):
        plots.waterfall(explained(*RESULTS["nine counters"]), size=(7, 4))


def texts(ax: Axes) -> list[Text]:
    """The visible texts of a panel."""
    ticks = [
        tick.label1
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in axis.get_major_ticks()
        if min(limits) <= tick.get_loc() <= max(limits)
    ]
    found = [*ax.texts, *ticks, ax.xaxis.label, ax._left_title]  # type: ignore[attr-defined]
    return [text for text in found if text.get_text()]


@pytest.mark.parametrize("size", [None, (3.5, 4)], ids=["default", "small"])
@pytest.mark.parametrize("name", RESULTS)
def test_texts_are_legible(name: str, size: tuple[float, float] | None) -> None:
    """No text overlaps another, and all are in the figure."""
    results = RESULTS[name][:1] if size == (3.5, 4) else RESULTS[name]
    figure = plots.waterfall(explained(*results, FAILED), size=size)
    figure.draw_without_rendering()
    boxes = {text: Text.get_window_extent(text) for ax in figure.axes[:-1] for text in texts(ax)}

    overlapping = [
        (one.get_text(), other.get_text())
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one].overlaps(boxes[other])
    ]
    assert overlapping == []
    legend = figure.axes[-1].get_legend()
    assert legend is not None
    for box in (*boxes.values(), legend.get_window_extent()):
        assert Bbox.union([box, figure.bbox]).bounds == pytest.approx(figure.bbox.bounds, abs=1)
