"""`predict`: the time of a network as a command, a function and a figure."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from math import exp, fsum, isnan, sqrt
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from commandline import Run
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from small_profile import CONV, INPUT, RELU, network, profile
from torch import nn

from mbanalyze import count, plots, predict
from mbanalyze.display.units import milliseconds
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.plots.drawing import PlotError
from mbanalyze.profiles.predicted_time import UnmeasuredError
from mbanalyze.profiles.profile_file import dumps, read_profile
from mbanalyze.profiles.work import Work
from mbanalyze.report.rows import KEYS
from mbanalyze.report.selection import SelectionError
from mbanalyze.sources.timed_reports import PredictionError
from mbanalyze.timing.prediction import Prediction

NETS = Path(__file__).parent / "data/nets.py"
RECORDED = Path(__file__).parent / "data/time_profile.json"


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    """Close all figures after a test."""
    yield
    plt.close("all")


def predicted(**changes: Any) -> Prediction:
    """Return the prediction for the small network, from the small profile with some changes."""
    return predict(network(), INPUT, profile=profile(**changes))


def test_a_time_is_a_sum_of_parts() -> None:
    """The time of an operator is flops, bytes and overhead by its class, plus the step to the next operator."""
    conv, relu = predicted().records()

    # 4 numbers of 9 products: 72 flops of 1 ns; (16 + 4) * 4 bytes of 1 ns; 9 * 4 bytes of 3 ns; 1000 ns, and 10 ns
    parts = {"compute_ms": 72e-6, "activations_ms": 80e-6, "weights_ms": 108e-6, "overhead_ms": 1010e-6}
    assert parts == {key: pytest.approx(conv[key]) for key in parts}
    assert conv["predicted_ms"] == pytest.approx(1270e-6)
    # (4 + 4) * 4 bytes of 2 ns, 100 ns and 10 ns
    assert (relu["activations_ms"], relu["overhead_ms"]) == (pytest.approx(64e-6), pytest.approx(110e-6))
    assert predicted().total.predicted_ms == pytest.approx(1444e-6)
    assert conv["share"] == pytest.approx(1270 / 1444)
    assert (conv["path"], conv["kind"], conv["variant"]) == ("0", "conv", "standard")
    assert (conv["class"], conv["roof"]) == ("conv standard 3x3 of an image", "overhead")
    # 80 and 32 bytes of activations, whose memory takes 5 ns a byte in addition
    assert predicted(step_byte_ns=5.0).total.predicted_ms == pytest.approx(1444e-6 + 5 * 112e-6)


def test_the_interval_is_a_factor() -> None:
    """A time of timed classes is divided and multiplied by the factor of networks, or of its own deviations."""
    total, wider = (
        predicted().total,
        predicted(classes={**profile().classes, "relu": RELU._replace(deviation=9)}),
    )
    relu = wider.by("kind")[1].time.total

    assert total.low_ms == pytest.approx(1444e-6 / exp(0.5))
    assert total.high_ms == pytest.approx(1444e-6 * exp(0.5))
    # the deviation of 9 of 174 ns in 1444 ns
    assert wider.total.high_ms == pytest.approx(1444e-6 * exp(9 * 174 / 1444))
    assert relu.high_ms == pytest.approx(174e-6 * exp(9))


def test_independent_deviations_cancel() -> None:
    """The deviations of two operators add up as squares."""
    both = {name: fit._replace(deviation=4.0) for name, fit in profile().classes.items()}

    expected = 4 * sqrt(1270**2 + 174**2) / 1444
    assert predicted(classes=both).total.high_ms == pytest.approx(1444e-6 * exp(expected))


def test_what_was_not_timed_widens_the_interval() -> None:
    """An operator of an unknown class, or of over twice the size, is not covered and adds its deviation."""
    doubtful = CONV._replace(deviation=0.3)
    unknown = predicted(classes={"relu": RELU}, general={"conv standard": doubtful})
    larger = predicted(
        classes={**profile().classes, "conv standard 3x3 of an image": doubtful._replace(largest=Work(35, 80, 36))}
    )  # fmt: skip

    for found, text in (
        (unknown, "classes without times, predicted from similar ones: conv standard 3x3 of an image x 1"),
        (
            larger,
            "classes with operators over twice as large as those that were timed: conv standard 3x3 of an image x 1",
        ),
    ):
        assert found.coverage == pytest.approx(174 / 1444)
        assert found.as_dict()["totals"]["coverage"] == found.coverage
        assert [group["coverage"] for group in found.records("kind")] == [0, 1]
        assert found.total.high_ms == pytest.approx(1444e-6 * exp(0.5 + 0.3 * 1270 / 1444))
        assert [row["covered"] for row in found.records()] == [False, True]
        assert found.notes == (text,)
        assert f"note: {text}" in " ".join(found.to("table").split())
    assert predicted().coverage == 1
    assert predicted().notes == ()


def test_a_device_waits_for_its_cpu() -> None:
    """If the CPU takes longer to start the operators than the device to run them, the difference is overhead."""
    # 2 operators of 3000 ns, instead of 1444 ns; both wait equally long
    waiting = predicted(launch_ns=3000.0)
    assert waiting.total.predicted_ms == pytest.approx(6000e-6)
    assert waiting.records()[1]["overhead_ms"] == pytest.approx((110 + 3000 - 1444 / 2) * 1e-6)
    assert predicted(launch_ns=3000.0, step_ns=10.25).total.predicted_ms == pytest.approx(6000e-6)
    assert predicted(launch_ns=700.0).total == predicted().total


@pytest.mark.parametrize("by", KEYS)
def test_every_grouping_sums_to_the_total(by: str) -> None:
    """Times, parts, shares and numbers of operators of all groups sum to those of the network."""
    found = predict("mobilenet_v2", profile=RECORDED)
    groups = found.records(by)

    assert [row["key"] for row in groups] == [group.key for group in found.report.by(by)]
    assert fsum(row["predicted_ms"] for row in groups) == pytest.approx(found.total.predicted_ms)
    assert fsum(row["share"] for row in groups) == pytest.approx(1)
    assert sum(row["ops"] for row in groups) == len(found.report.rows)
    for part, ns in found.time.parts._asdict().items():
        assert fsum(row[f"{part}_ms"] for row in groups) == pytest.approx(ns / 1e6)
    for row in groups:
        assert row["predicted_ms"] == pytest.approx(
            fsum(row[f"{part}_ms"] for part in found.time.parts._asdict())
        )


def test_a_recorded_profile_predicts_the_same_everywhere() -> None:
    """The time of MobileNetV2 from the recorded profile is equal to the last digit."""
    assert repr(predict("mobilenet_v2", profile=RECORDED).total.predicted_ms) == "18.59433849106387"


def test_a_trace_and_a_closed_form_predict_the_same() -> None:
    """The rows of a trace are those of the closed form."""
    closed = predict("squeezenet1_1", profile=RECORDED, resolution=64)
    traced = predict("squeezenet1_1", profile=read_profile(str(RECORDED)), resolution=64, trace=True)

    assert (closed.report.method, traced.report.method) == ("closed-form", "trace")
    assert closed.records() == traced.records()
    assert predict(closed.report, profile=RECORDED).as_dict() == closed.as_dict()


def test_a_part_of_a_report() -> None:
    """The prediction of a report that keeps some kinds has the time of these."""
    report = count("mobilenet_v2")
    kinds = {row["key"]: row["predicted_ms"] for row in predict(report, profile=RECORDED).records("kind")}

    assert predict(report.only("conv"), profile=RECORDED).total.predicted_ms == pytest.approx(kinds["conv"])


def test_the_document_names_what_a_trace_missed() -> None:
    """Work that the trace did not see has no time, and the document says so."""
    part = replace(count(network(), INPUT), unseen=("a compiled function",))

    assert predict(part, profile=profile()).as_dict()["unseen"] == ["a compiled function"]


def test_unknown_kinds_are_refused(run: Run) -> None:
    """A kind that the profile lacks is named with its number of calls, in one line and with exit code 2."""
    with pytest.raises(UnmeasuredError, match=r"no times for sigmoid x 2, tanh x 1: .*--anchor"):
        predict(nn.Sequential(nn.Sigmoid(), nn.Tanh(), nn.Sigmoid()), (1, 4), profile=profile())
    ran = run("predict", f"{NETS}:strange", "--input", "1,4", "--profile", str(RECORDED))
    assert (ran.code, ran.out) == (2, "")
    assert "\nmbanalyze: error: the profile has no times for aten::special_bessel_j0 x 1: " in ran.err
    assert ran.err.count("\n") == 2  # the file of the network prints a line


def test_other_settings_are_refused(run: Run) -> None:
    """Another element type, merged operators, training, and inputs with a report are errors."""
    report = count(network(), INPUT)
    for options, part in (
        (
            {"dtype": "float16"},
            "times of float32, not of float16: set dtype to float32, or calibrate with --dtype float16",
        ),
        ({"fused": True}, "leave out fused"),
        ({"mode": "train"}, "leave out train and mode"),
        ({"train": True}, "leave out train and mode"),
    ):
        with pytest.raises(PredictionError, match=part):
            predict(network(), INPUT, profile=profile(), **options)
        with pytest.raises(PredictionError, match=part):
            predict(count(network(), INPUT, **options), profile=profile())
    for arguments, keywords in (((INPUT,), {}), ((), {"batch": 2})):
        with pytest.raises(PredictionError, match="not counted yet"):
            predict(report, *arguments, profile=profile(), **keywords)
    ran = run("predict", "mobilenet_v1", "--dtype", "int8", "--profile", str(RECORDED))
    assert ran == (2, "", ran.err)
    assert "times of float32, not of int8: set dtype to float32\n" in ran.err
    with pytest.raises(ChoiceError, match="unknown grouping 'stage'"):
        predicted().by("stage")


def test_the_element_type_is_that_of_the_profile() -> None:
    """Without a `dtype`, elements have the size that was timed."""
    half = predicted(dtype="float16")

    assert half.report.dtype == "float16"
    # (16 + 4) * 2 bytes of 1 ns
    assert half.records()[0]["activations_ms"] == pytest.approx(40e-6)
    with pytest.raises(PredictionError, match="set dtype to float16, or calibrate with --dtype float32"):
        predict(count(network(), INPUT), profile=profile(dtype="float16"))


def test_a_batch_has_a_note() -> None:
    """The profile was timed at batch 1: a larger batch of images has a note, and a batch of 1 or rows have none."""
    note = "the profile was timed at batch 1, and this input has batch 8"

    assert note in predict("mobilenet_v1", profile=RECORDED, batch=8).notes
    assert predict("mobilenet_v1", profile=RECORDED).notes == ()
    assert predict(nn.ReLU(), (2, 4), profile=profile()).notes == ()


def test_the_slowest_rows(run: Run) -> None:
    """`top` keeps the slowest rows: a table sums the others in one row, and data leave them out."""
    command = ("predict", "mobilenet_v2", "--profile", str(RECORDED), "--top", "2")
    found = predict("mobilenet_v2", profile=RECORDED)
    slowest = sorted((row["predicted_ms"] for row in found.records()), reverse=True)[:2]

    rows = list(csv.DictReader(io.StringIO(run(*command, "--format", "csv").out)))
    assert [float(row["predicted_ms"]) for row in rows] == slowest
    kinds = json.loads(run(*command, "--by", "kind", "--format", "json").out)["rows"]
    assert [row["key"] for row in kinds] == ["conv", "batch_norm"]
    lines = run(*command, "--by", "kind").out.splitlines()
    # relu6, add, global_avg_pool and linear: 35 + 10 + 1 + 1 operators
    assert [line.split()[:3] for line in lines if "others" in line] == [["4", "others", "47"]]
    assert "1 other " in found.to("table", by="kind", top=5)
    with pytest.raises(SelectionError, match="top must be"):
        found.to("csv", top=0)


def test_the_command_prints_the_document_of_the_function(run: Run) -> None:
    """JSON of the command is the document of the library, with rows for operators or for groups."""
    arguments = ("predict", "mobilenet_v2", "--alpha", "0.5", "--profile", str(RECORDED), "--format", "json")
    found = predict("mobilenet_v2", profile=RECORDED, alpha=0.5)
    document = json.loads(run(*arguments).out)

    assert document == json.loads(found.to("json"))
    assert document["totals"] == {**found.total._asdict(), "coverage": found.coverage}
    assert document["profile"]["machine"] == read_profile(RECORDED).machine
    assert json.loads(run(*arguments, "--by", "block").out)["rows"] == found.records("block")


def test_a_table_has_times_parts_and_the_total(tmp_path: Path, run: Run) -> None:
    """The table has a row for each module, each kind and each part, and the total with its interval."""
    (file := tmp_path / "p.json").write_text(dumps(profile()))
    ran = run("predict", f"{NETS}:small@width=1", "--input", "1,3,4,4", "--profile", str(file))
    lines = [line.split() for line in predicted().to("table").splitlines()]

    assert ran.code == 0
    assert "a machine, 1 thread, float32, 2026-01-31" in " ".join(ran.out.split())
    assert ["0", "conv", "standard", "0.00127", "0.000770", "to", "0.00209", "88.0", "%", "overhead"] in lines
    assert ["relu", "1", "0.000174", "0.000106", "to", "0.000287", "12.0", "%", "overhead"] in lines
    # 80 ns and 64 ns of 1444 ns
    assert [
        *["activations,", "for", "bytes", "of", "activations", "0.000144"],
        "10.0",
        "%",
        *["in", "0", "operators"],
    ] in lines
    # 1444 ns, divided and multiplied by e ** 0.5
    assert [
        "predicted",
        "time",
        "0.00144",
        "ms",
        "80",
        "%",
        "interval:",
        "0.000876",
        "to",
        "0.00238",
        "ms",
    ] in lines
    assert [text for text in predicted().by("kind").to("table").splitlines() if text.startswith("by")] == [
        "by part"
    ]


def test_a_part_names_one_operator() -> None:
    """The number of operators of a part is in the singular for one."""
    # the relu takes 100 ns of overhead alone, and less for its bytes
    assert "in 1 operator\n" in predict(nn.ReLU(), (1, 4), profile=profile()).to("table")


def test_a_network_without_operators_takes_no_time() -> None:
    """Without operators, the time is 0, each share is unknown, and there is nothing to draw."""
    found = predict(nn.Identity(), (1, 3), profile=profile())

    assert (found.total, found.coverage, found.records()) == ((0, 0, 0), 1, [])
    assert found.to("csv") == ",".join(found.columns()) + "\n"
    assert "predicted time 0 ms" in " ".join(found.to("table").split())
    with pytest.raises(PlotError, match="Identity has no operators"):
        plots.prediction(found)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (18.12, "18.1"),
        (123.4, "123"),
        (1234.5, "1,230"),
        (0.0000004, "0.000000"),
    ],
)
def test_milliseconds_have_three_digits(time: float, text: str) -> None:
    """Milliseconds are rounded to three digits, and to nanoseconds."""
    assert text == milliseconds(time)


def stairs(ax: Axes) -> dict[str, list[float]]:
    """The heights of the bars of each part."""
    found = [patch for patch in ax.patches if isinstance(patch, StepPatch)]
    drawn = {str(patch.get_gid()): patch.get_data() for patch in found}
    return {name: list(top - bottom) for name, (top, _, bottom) in drawn.items()}


def points(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """The points of each line, by its name."""
    lines: dict[str, Any] = {str(line.get_gid()): line.get_xydata() for line in ax.lines}
    return {name: [(x, y) for x, y in found] for name, found in lines.items()}


def test_bars_are_the_parts_of_each_operator() -> None:
    """Along the depth, each part has the height of its milliseconds; a part without time has no entry."""
    depth, _ = plots.prediction(predicted()).axes
    without = plots.prediction(predict(nn.ReLU(), (1, 1, 2, 2), profile=profile())).axes[0]

    assert {name: pytest.approx(heights, abs=1e-12) for name, heights in stairs(depth).items()} == {
        "compute": [72e-6, 0],
        "activations": [80e-6, 64e-6],
        "weights": [108e-6, 0],
        "overhead": [1010e-6, 110e-6],
    }
    assert depth.get_title("left").startswith(
        "Sequential, 1x1x4x4, on a machine, 1 thread, float32, 2026-01-31"
    )
    assert depth.get_title("left").replace("\n", " ").endswith(": 0.00144 ms (0.000876 to 0.00238 ms)")
    assert set(stairs(without)) == {"activations", "overhead"}


def test_the_roofline_has_a_point_for_each_operator() -> None:
    """A point is flops per byte and flops per second of an operator."""
    _, roofline = plots.prediction(predicted()).axes

    # 72 flops of 80 + 36 bytes in 1270 ns, and 4 flops of 32 bytes in 174 ns
    assert points(roofline) == {
        "overhead-points": [
            pytest.approx((72 / 116, 72 / 1270e-9)),
            pytest.approx((4 / 32, 4 / 174e-9)),
        ]
    }


def test_roofs_are_the_highest_rates() -> None:
    """A roof is the rate of the operators that spend over half of their time on it, up to the other roof."""
    conv = CONV._replace(flop_ns=10.0, overhead_ns=0.0)
    classes = {"conv standard 3x3 of an image": conv, "relu": RELU._replace(overhead_ns=0.0)}
    _, ax = plots.prediction(predicted(classes=classes, step_ns=0.0)).axes
    lines = points(ax)

    # 1 flop in 10 ns; 1 byte in 2 ns
    flops, moved = ([(x, y) for x, y in lines[name] if not isnan(y)] for name in ("flop-roof", "B-roof"))
    assert [y for _, y in flops] == pytest.approx([1e8] * len(flops))
    assert [y for _, y in moved] == pytest.approx([0.5e9 * x for x, _ in moved])
    assert flops
    assert moved
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][-2:] == [
        "500.0 MB/s: relu",
        "100.0 Mflop/s: conv standard 3x3 of an image",
    ]


def test_operators_without_flops_have_no_point() -> None:
    """A note counts the operators without flops, and a network of these has one panel."""
    copies = nn.Sequential(nn.ReLU(), nn.ChannelShuffle(2))
    both = plots.prediction(predict(copies, (1, 4, 2, 2), profile=RECORDED))
    one = plots.prediction(predict(nn.ChannelShuffle(2), (1, 4, 2, 2), profile=RECORDED))

    (note,) = (text.get_text() for text in both.axes[1].texts)
    assert note == "without flops, and without a point: 1 of 2 operators"
    assert len(one.axes) == 1


@pytest.mark.parametrize("size", [None, (5, 5)])
def test_texts_are_legible(size: tuple[float, float] | None) -> None:
    """No text overlaps another or a legend, and all are in the figure."""
    figure = plots.prediction(predict("mobilenet_v2", profile=RECORDED), size=size)
    figure.draw_without_rendering()
    boxes = []
    for ax in figure.axes:
        legend = ax.get_legend()
        assert legend is not None
        title: Any = ax._left_title  # type: ignore[attr-defined]  # matplotlib has no public name for it
        texts = [title, ax.xaxis.label, ax.yaxis.label]
        boxes += [legend.get_window_extent(), *(Text.get_window_extent(t) for t in texts if t.get_text())]

    assert [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])] == []
    assert all(box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 for box in boxes)
    assert all(box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1 for box in boxes)


def test_the_command_draws(tmp_path: Path, run: Run) -> None:
    """--plot writes the figure in the given size, and only results of `predict` are drawn."""
    file = tmp_path / "time.svg"
    ran = run(
        *("predict", "squeezenet1_1", "--profile", str(RECORDED), "--plot", str(file), "--plot-size", "8x6")
    )

    assert (ran.code, ran.err) == (0, "")
    assert 'width="576pt" height="432pt"' in file.read_text()
    with pytest.raises(PlotError, match=r"give the result of predict\(...\)"):
        plots.prediction(count("squeezenet1_1"))
    assert plots.prediction(predicted(), title="My title").axes[0].get_title("left") == "My title"
