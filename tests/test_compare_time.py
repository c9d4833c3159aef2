"""Comparisons with a profile: predicted times, their intervals, and which model is faster."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import small_profile
from commandline import Run
from torch import nn

from mbanalyze import compare, count
from mbanalyze.comparison.compared_times import ReportTimeError
from mbanalyze.comparison.comparison import Comparison
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.predicted_time import UnmeasuredError
from mbanalyze.profiles.profile_file import ProfileError, dumps
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.profiles.work import Work

FACTOR = 1.1
"""The factor of the interval."""


def fit(overhead_ns: float) -> ClassFit:
    """Return a class whose operators take a constant time."""
    return ClassFit(0.0, 0.0, 0.0, overhead_ns, 1, 0.0, Work(10**9, 10**9, 10**9), in_place=True)


def profile(**milliseconds: float) -> Profile:
    """Return a profile whose operators take a constant time, by kind."""
    fits = {name: fit(1e6 * each) for name, each in milliseconds.items()}
    return small_profile.profile(classes=fits, general=fits, step_ns=0.0, deviation=log(FACTOR))


SPEED = profile(relu=1.0, sigmoid=2.5, tanh=1.2)


def report(*layers: nn.Module) -> Any:
    """Return the report of some layers on ten numbers."""
    return count(nn.Sequential(*layers), (1, 10))


def times(*models: Any, profile: Profile = SPEED) -> Comparison:
    """Compare reports with a profile."""
    return compare(*models, profile=profile)


def test_totals_have_the_time_and_its_interval() -> None:
    """The totals of each model end with its time, the limits of the interval and the coverage."""
    # two ReLUs of 1 ms; a ReLU of 1 ms and a sigmoid of 2.5 ms
    both = times(report(nn.ReLU(), nn.ReLU()), report(nn.ReLU(), nn.Sigmoid()))
    names = ("predicted_ms", "low_ms", "high_ms", "coverage")

    assert [[totals[name] for name in names] for totals in both.totals] == [
        pytest.approx([2.0, 2.0 / 1.1, 2.0 * 1.1, 1.0]),
        pytest.approx([3.5, 3.5 / 1.1, 3.5 * 1.1, 1.0]),
    ]
    assert both.ratios[1]["predicted_ms"] == pytest.approx(1.75)
    assert both.changes("predicted_ms") == pytest.approx((0.0, 1.5))


@pytest.mark.parametrize(
    ("first", "second", "speed", "said"),
    [
        (nn.ReLU, nn.Sigmoid, "slower", "Sequential (1) is 2.50 times as fast as Sequential (2)"),
        (nn.Sigmoid, nn.ReLU, "faster", "Sequential (2) is 2.50 times as fast as Sequential (1)"),
        # 1 ms * 1.1 is above 1.2 ms / 1.1 = 1.09 ms
        (nn.ReLU, nn.Tanh, "too close to call", "Sequential (2) and Sequential (1) are too close to call"),
    ],
)
def test_the_verdict(first: type[nn.Module], second: type[nn.Module], speed: str, said: str) -> None:
    """A model is faster or slower than the first, unless the intervals overlap; every format says so."""
    both = times(report(first()), report(second()))
    document = json.loads(both.to("json"))
    lines = list(csv.DictReader(io.StringIO(both.to("csv"))))

    assert both.speeds == (None, speed)
    assert [model["speed"] for model in document["models"]] == [None, speed]
    assert [line["speed"] for line in lines] == ["", speed]
    assert [said in both.to(format, width=200) for format in ("table", "markdown")] == [True, True]


def test_tables_have_rows_and_a_column_of_times() -> None:
    """The totals have rows of the time and its interval, and the parts a column of changes that adds up."""
    both = times(report(nn.ReLU(), nn.ReLU()), report(nn.ReLU(), nn.Sigmoid()))
    lines = both.to("markdown").splitlines()

    assert "| predicted ms | 2.000 | 3.500 x 1.750 |" in lines
    assert "| 80 % interval | 1.818 to 2.200 | 3.182 to 3.850 |" in lines
    assert "- predicted for eager PyTorch on a machine, 1 thread, float32, 2026-01-31" in lines
    assert [line for line in lines if line.startswith(("| relu |", "| sigmoid |"))] == [
        "| relu | 0 | 0 | 0 | -20 | 0 | -1.000 |",
        "| sigmoid | 0 | 0 | 0 | +20 | 0 | +2.500 |",
    ]
    # by kind, by block and by layer
    assert sum(line.startswith("| total |") and "| +1.500 |" in line for line in lines) == 3


def test_parts_have_times() -> None:
    """Kinds, stages and layers have the time before and after, and their sums are the totals."""
    both = times(report(nn.ReLU(), nn.ReLU()), report(nn.ReLU(), nn.Sigmoid()))
    document = both.as_dict()

    for parts in (both.by_kind, both.by_stage, both.layers or ()):
        sums = [sum(part.milliseconds[i] for part in parts) for i in range(2)]
        assert sums == pytest.approx([2.0, 3.5])
    [sigmoid] = [part for part in document["by_kind"] if part["kind"] == "sigmoid"]
    assert [each["predicted_ms"] for each in sigmoid["counts"]] == [0.0, 2.5]
    assert [each["predicted_ms"] for each in sigmoid["changes"]] == [0.0, 2.5]
    [layer] = [layer for layer in both.records("layers") if layer["status"] != "same"]
    assert [layer[f"predicted_ms_{each}"] for each in ("before", "after", "change")] == [1.0, 2.5, 1.5]
    assert [line["predicted_ms"] for line in both.records("kind")] == [2.0, 1.0, 0.0, 2.5]


def test_the_document_names_the_machine() -> None:
    """JSON repeats the settings of the profile; without one, no key is about time."""
    one = report(nn.ReLU())

    assert times(one, one).as_dict()["profile"] == {
        "machine": "a machine", "device": "cpu", "threads": 1, "dtype": "float32", "date": "2026-01-31",
    }  # fmt: skip
    assert not {"profile", "predicted_ms", "speed"} & keys_of(compare(one, one).as_dict())


def keys_of(value: Any) -> set[str]:
    """Return every key in a JSON document."""
    if isinstance(value, Mapping):
        return set(value) | {key for each in value.values() for key in keys_of(each)}
    return {key for each in value for key in keys_of(each)} if isinstance(value, list | tuple) else set()


def test_operators_of_other_sizes_are_named() -> None:
    """A note says which share of a time is of operators unlike those that were timed."""
    small = replace(SPEED, classes={"relu": fit(1e6)})
    # a sigmoid of 2.5 ms beside a ReLU of 1 ms
    text = times(report(nn.ReLU()), report(nn.ReLU(), nn.Sigmoid()), profile=small).to("markdown")

    assert "Sequential (2): operators unlike those that were timed take 71 % of the predicted time" in text
    assert "Sequential (1): operators" not in text


def test_a_network_that_does_nothing() -> None:
    """A network without operators takes no time, and is neither faster nor slower."""
    both = times(report(nn.ReLU()), report(nn.Identity()))

    assert both.totals[1]["predicted_ms"] == 0.0
    assert both.speeds == (None, None)
    assert "| predicted ms | 1.000 | 0 ? |" in both.to("markdown")


def test_a_trace_that_missed_work_is_a_lower_bound() -> None:
    """The time of an incomplete trace is a lower bound, and has no verdict."""
    part = replace(report(nn.Sigmoid()), unseen=("a compiled function",))
    both = times(report(nn.ReLU()), part)

    assert both.speeds == (None, None)
    assert "| predicted ms | 1.000 | ≥ 2.500 ? |" in both.to("markdown")


def test_the_element_type_is_that_of_the_profile() -> None:
    """Models are counted in the element type of the profile; a report of another is refused."""
    half = replace(SPEED, dtype="float16")
    both = compare(nn.ReLU(), nn.Sigmoid(), inputs=[(1, 10)], profile=half)

    assert [each.dtype for each in both.reports] == ["float16", "float16"]
    with pytest.raises(
        ReportTimeError, match='is of float16, Sequential was counted in float32: set dtype = "float16"'
    ):
        times(report(nn.ReLU()), report(nn.ReLU()), profile=half)


@pytest.mark.parametrize("options", [{"fused": True}, {"mode": "train"}], ids=str)
def test_other_passes_are_refused(options: dict[str, Any]) -> None:
    """A profile predicts neither fused operators nor training."""
    with pytest.raises(ReportTimeError, match="leave out fused, train and mode"):
        compare(nn.ReLU(), nn.ReLU(), inputs=[(1, 10)], profile=SPEED, **options)


def test_a_kind_without_times_is_refused() -> None:
    """A profile without times of an operator does not predict it."""
    with pytest.raises(UnmeasuredError, match=r"no times for elu \(2\)"):
        times(report(nn.ReLU()), report(nn.ELU(), nn.ELU()))


def test_a_convention_counts_beside_a_profile() -> None:
    """A convention changes macs and no time."""
    models: dict[str, Any] = {"inputs": [(1, 10)], "profile": replace(SPEED, general={"linear": fit(1e6)})}
    ours, theirs = (
        compare(nn.Linear(10, 2), nn.Linear(10, 4), convention=name, **models) for name in (None, "thop")
    )

    assert theirs.other_convention is not None
    assert theirs.by_kind[0].milliseconds == ours.by_kind[0].milliseconds == (1.0, 1.0)


def test_the_command(run: Run, tmp_path: Path) -> None:
    """The option takes a file, and a file that is no profile ends in one line."""
    recorded = Path(__file__).parent / "data/time_profile.json"
    ran = run(
        "compare", "mobilenet_v2", "mobilenet_v2@alpha=0.5", "--profile", str(recorded), "--format", "json"
    )
    totals = [model["totals"]["predicted_ms"] for model in json.loads(ran.out)["models"]]
    (tmp_path / "p.json").write_text(dumps(SPEED).replace("profile/1", "profile/9"))
    failed = run("compare", "alexnet", "alexnet", "--profile", str(tmp_path / "p.json"))

    assert (ran.code, totals[1] < totals[0]) == (0, True)
    assert (failed.code, failed.out) == (2, "")
    assert "has schema mbanalyze.profile/9: upgrade mbanalyze" in failed.err
    with pytest.raises(ProfileError, match="does not exist"):
        compare("alexnet", "alexnet", profile=tmp_path / "none.json")


def test_the_plot_shows_fractions(tmp_path: Path) -> None:
    """The plot of a comparison takes the predicted time as a count, with its fraction."""
    from mbanalyze import plots

    ax = plots.comparison(times(report(nn.ReLU()), report(nn.Sigmoid())), counts=("predicted_ms",))

    assert [text.get_text() for text in ax.texts] == ["1 (100 %)", "2.500 (250 %)"]
