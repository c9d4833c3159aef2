"""Predicted times of variants: columns of `ablate`, limits and objective of `search`."""

from __future__ import annotations

import csv
import importlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import exp
from pathlib import Path
from typing import Any

import pytest
from commandline import Run
from small_profile import profile
from torch import nn

from mbanalyze import ablate, count, search
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.predicted_time import UnmeasuredError, predict_time
from mbanalyze.profiles.profile_file import ProfileError, dumps, read_profile
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.profiles.work import Work
from mbanalyze.sources.timed_reports import PredictionError
from mbanalyze.sweep import candidates
from mbanalyze.sweep.ablation_result import Ablation
from mbanalyze.sweep.candidates import SearchError
from mbanalyze.sweep.predicted_columns import TIME_COLUMNS
from mbanalyze.sweep.resumed import ResumeError
from mbanalyze.sweep.traced import VariantError

FILE = Path(__file__).parent / "data/time_profile.json"
RECORDED = read_profile(FILE)
LARGEST = Work(10**9, 10**9, 10**9)
CONV = ClassFit(1.0, 10.0, 100.0, 1000.0, 9, 0.0, LARGEST, in_place=True)
"""A time of `flops + 10 * activation bytes + 100 * weight bytes + 1000` nanoseconds."""
ROUND = profile(classes={}, general={"conv pointwise": CONV}, step_ns=0.0, deviation=0.0)
NETS = Path(__file__).parent / "data/nets.py"
PACKAGE = """
from types import SimpleNamespace
from torch import nn

__version__ = "9.1"
MODELS = {f"conv_{kernel}": nn.Conv2d(1, 1, kernel, padding=kernel // 2, bias=False) for kernel in (1, 3)}
list_models = list_pretrained = lambda: list(MODELS)
is_model = MODELS.__contains__
get_pretrained_cfg = lambda name, allow_unregistered=True: SimpleNamespace(input_size=(1, 2, 2))
create_model = lambda name, pretrained=False: MODELS[name]
"""
"""A stand-in for timm, with a convolution whose class has a time, and one whose class has none."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the stand-in in the place of timm."""
    (tmp_path / "timm.py").write_text(PACKAGE)
    for name in [name for name in sys.modules if name.split(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("timm")
    yield
    del sys.modules["timm"]


def pointwise(width: int = 1, kernel: int = 1) -> nn.Module:
    """One convolution of one input channel, without bias."""
    return nn.Conv2d(1, width, kernel, bias=False)


def convolutions(**settings: Any) -> Ablation:
    """The variants of `pointwise` on an image of 2 x 2 pixels."""
    return ablate(pointwise, (1, 1, 2, 2), **settings)


def test_the_time_of_a_factory_by_hand() -> None:
    """A traced variant has the time that the constants of its class give."""
    # flops 2 * 4 * width; bytes 4 * (4 + 4 * width) and 4 * width
    # width 1:  8 + 10 * 32 + 100 * 4 + 1000 = 1728 ns
    # width 2: 16 + 10 * 48 + 100 * 8 + 1000 = 2296 ns
    frame = convolutions(profile=ROUND, width=[1, 2]).frame()

    assert frame["predicted_ms"].tolist() == [0.001728, 0.002296]
    assert frame["predicted_ms"].equals(frame["low_ms"])
    assert frame["predicted_ms"].equals(frame["high_ms"])


def test_the_interval_is_a_factor() -> None:
    """The ends of the interval are the time divided and multiplied by the factor of the profile."""
    (row,) = convolutions(profile=replace(ROUND, deviation=0.5)).records()

    assert row["low_ms"] == pytest.approx(0.001728 / exp(0.5))
    assert row["high_ms"] == pytest.approx(0.001728 * exp(0.5))


def test_ablate_agrees_with_each_report() -> None:
    """Each variant of a grid has the time and interval of the operators in its report."""
    grid: dict[str, Any] = {"alpha": [1, 0.75, 0.5, 0.35, 0.25], "resolution": [224, 192, 160, 96]}
    rows = ablate("mobilenet_v2", profile=RECORDED, **grid).records()

    assert len(rows) == 20
    for row in rows:
        options = {name: row[name] for name in grid}
        expected = predict_time(count("mobilenet_v2", **options).ops, RECORDED).total
        assert expected == tuple(row[name] for name in TIME_COLUMNS), options


def test_a_batch_takes_longer() -> None:
    """The time is that of the whole batch."""
    (row,) = ablate("mobilenet_v1", alpha=0.25, batch=8, profile=RECORDED).records()
    expected = predict_time(count("mobilenet_v1", alpha=0.25, batch=8).ops, RECORDED).total

    assert expected.predicted_ms == row["predicted_ms"]


def test_a_time_does_not_depend_on_a_convention() -> None:
    """Macs of another counter do not change the predicted time."""
    ours, theirs = (
        ablate("mobilenet_v1", alpha=0.25, profile=RECORDED, convention=name).frame()
        for name in (None, "paper")
    )

    assert ours["predicted_ms"].equals(theirs["predicted_ms"])
    assert "convention" in theirs


def test_workers_predict_too() -> None:
    """Variants that other processes trace have the times that this process gives them."""
    alone, others = (
        ablate(f"{NETS}:small", (1, 3, 8, 8), width=[2, 300], profile=RECORDED, workers=workers).frame()
        for workers in (None, 1)
    )

    assert alone["predicted_ms"].tolist() == others["predicted_ms"].tolist()
    assert 0 < alone["predicted_ms"][0] < alone["predicted_ms"][1]


def test_the_models_of_a_package(tmp_path: Path, package: None) -> None:
    """A pattern has the times too, and a file of counts keeps them for this profile alone."""
    file = tmp_path / "zoo.csv"

    def counted(profile: Profile | None) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(1) as pool:
            found = ablate("timm:conv_*", profile=profile, resume=file, executor=pool)
        return found.records()

    one, three = counted(ROUND)
    assert [one[name] for name in TIME_COLUMNS] == [0.001728] * 3
    # 4 outputs of 9 products
    assert (three["macs"], *(three[name] for name in TIME_COLUMNS)) == (36, None, None, None)
    assert "the profile has no times for conv standard" in three["error"]
    assert counted(ROUND) == [one, three]
    with pytest.raises(ResumeError, match="profile="):
        counted(replace(ROUND, date="2026-02-01"))
    with pytest.raises(ResumeError, match="predicted_ms"):
        counted(None)


def test_a_search_among_the_models_of_a_package(package: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a package without a time is left out, and named with the reason."""
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(candidates, "ablate", partial(ablate, executor=pool))
        found = search("timm:conv_*", objective="predicted_ms", profile=ROUND)

    assert found.best is not None
    assert (found.best["model"], found.best["predicted_ms"]) == ("timm:conv_1", 0.001728)
    assert [name for name, _ in found.uncounted] == ["timm:conv_3"]


def without(kind: str, fits: Mapping[str, ClassFit] = RECORDED.general) -> dict[str, ClassFit]:
    """Return fits without those of a kind."""
    return {name: fit for name, fit in fits.items() if name.split()[0] != kind}


def lacking(kind: str) -> Profile:
    """Return the recorded profile without times for a kind."""
    return replace(RECORDED, general=without(kind), classes=without(kind, RECORDED.classes))


def test_a_limit_of_time() -> None:
    """The fitting variants are those predicted within the limit, and the least limit that allows a better one is named."""
    found = search("mobilenet_v2", max_ms=9, profile=RECORDED)
    considered = found.records("considered")
    best = max((row for row in considered if row["predicted_ms"] <= 9), key=top1)
    better = [row for row in considered if top1(row) > best["top1"]]
    (blocking,) = found.blocking_limits

    assert [row["predicted_ms"] <= 9 for row in considered] == [row["fits"] for row in considered]
    assert best == {**found.best, "fits": True}  # type: ignore[dict-item]
    assert (blocking.quantity, blocking.limit) == ("predicted_ms", 9.0)
    assert min(row["predicted_ms"] for row in better) == blocking.needed
    allowed = search("mobilenet_v2", max_ms=blocking.needed, profile=RECORDED)
    assert allowed.best is not None
    assert blocking.variant["top1"] == allowed.best["top1"]


def top1(row: dict[str, Any]) -> float:
    """Return the accuracy of a row, 0 if it is unknown."""
    return row["top1"] or 0.0


def test_the_advice_allows_the_variant(run: Run) -> None:
    """The limit that the command names, rounded up, is enough."""
    ran = run("search", "mobilenet_v2", "--max-ms", "9", "--profile", str(FILE), "--width", "80")
    (advised, reference), *_ = re.findall(r"raising --max-ms to (\S+) would allow\s+(\S+)", ran.out)

    assert "best within 9 ms predicted time" in ran.out
    assert reference == search("mobilenet_v2", max_ms=advised, profile=FILE).reference


def test_the_front_minimises_the_time() -> None:
    """With a profile, the front is by accuracy, macs, params and predicted time."""
    found = search("mobilenet", profile=RECORDED)
    names = ("macs", "params", "predicted_ms")
    rows = {(-top1(row), *(row[name] for name in names)) for row in found.records() if row["top1"]}
    front = {row for row in rows if not any(each != row and dominates(each, row) for each in rows)}

    assert found.costs == ("predicted_ms", "macs", "params")
    assert front == {(-top1(row), *(row[name] for name in names)) for row in found.records("front")}
    assert len(front) > len(search("mobilenet").frame("front"))


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Return True if no number of `a` is above that of `b`."""
    return all(x <= y for x, y in zip(a, b, strict=True))


def test_the_fastest_variant() -> None:
    """The objective `predicted_ms` is minimised."""
    found = search("mobilenet_v2", objective="predicted_ms", max_params=1_500_000, profile=RECORDED)
    fits = [row for row in found.records("considered") if row["params"] <= 1_500_000]
    faster = [row for row in found.records("considered") if row["predicted_ms"] < found.best["predicted_ms"]]  # type: ignore[index]

    assert min(row["predicted_ms"] for row in fits) == found.best["predicted_ms"]  # type: ignore[index]
    assert len(faster) == len(found.better)
    assert "ranked by predicted time" in found.to("table")


def test_networks_without_times_are_left_out() -> None:
    """A search leaves out networks with kinds that the profile lacks, and names them with the reason."""
    found = search("mobilenet", max_macs="60M", profile=lacking("hard_swish"))
    left = {"mobilenet_v3_large", "mobilenet_v3_small"}

    rows = [row for row in found.records("considered") if row["model"].startswith("mobilenet_v3")]

    assert left < {name for name, _ in found.uncounted}
    assert {"minimalistic=true"} == {row["options"] for row in rows}  # they have no hard swish
    assert "results are not complete:" in found.to("table")
    assert "mobilenet_v3_large: the profile has no times for hard_swish" in found.to("table", width=300)
    with pytest.raises(SearchError, match="minimalistic=false: the profile has no times for hard_swish"):
        search("mobilenet_v3_small", minimalistic=False, profile=lacking("hard_swish"))


def test_one_network_without_times_is_an_error() -> None:
    """`ablate` of one network names the kind that the profile lacks."""
    with pytest.raises(UnmeasuredError, match="no times for hard_swish"):
        ablate("mobilenet_v3_small", profile=lacking("hard_swish"))
    with pytest.raises(
        VariantError, match=r"pointwise@kernel=2,dtype=float32: the profile has no times for conv standard"
    ):
        convolutions(kernel=[1, 2], profile=ROUND)
    assert [
        row["kernel"] for row in convolutions(kernel=[1, 2], profile=ROUND, skip_invalid=True).records()
    ] == [1]


def test_the_element_type_is_that_of_the_profile(tmp_path: Path) -> None:
    """The dtype of the profile is the default, and another one is an error."""
    file = tmp_path / "half.json"
    file.write_text(dumps(replace(RECORDED, dtype="float16")))
    full, half = (ablate("mobilenet_v1", profile=profile).records()[0] for profile in (RECORDED, file))

    assert full["params_bytes"] == 2 * half["params_bytes"]
    assert full["predicted_ms"] > half["predicted_ms"]
    assert search("mobilenet_v1", profile=file).dtype == "float16"
    for refused in (ablate, search):
        with pytest.raises(PredictionError, match="times of float16, not of float32"):
            refused("mobilenet_v1", profile=file, dtype="float32")


@pytest.mark.parametrize("option", [{"mode": "train"}, {"fused": True}])
def test_other_passes_are_refused(option: dict[str, Any]) -> None:
    """A profile predicts an eager forward pass in eval mode alone."""
    with pytest.raises(PredictionError, match="eager forward pass in eval mode: leave out"):
        convolutions(profile=ROUND, **option)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-ms", "5"], "--max-ms needs --profile FILE.json"),
        (["--objective", "predicted_ms"], "--objective predicted_ms needs --profile FILE.json"),
        (["--max-ms", "0", "--profile", str(FILE)], "--max-ms: malformed time '0'"),
        (["--max-ms", "nan", "--profile", str(FILE)], "--max-ms: malformed time 'nan'"),
        (["--max-ms", "inf", "--profile", str(FILE)], "--max-ms: malformed time 'inf'"),
        (["--profile", "absent.json"], "absent.json does not exist"),
        (["--profile", str(FILE), "--dtype", "int8"], "times of float32, not of int8"),
    ],
)
def test_usage_errors(run: Run, arguments: list[str], message: str) -> None:
    """An option that cannot be used ends the command in one line with exit code 2."""
    ran = run("search", "mobilenet_v1", *arguments)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert message in ran.err


def test_python_names_the_limit() -> None:
    """In Python, a limit of time without a profile, or one that is no time, is an error."""
    with pytest.raises(SearchError, match="give profile"):
        search("mobilenet_v1", max_ms=5)
    with pytest.raises(SearchError, match="max_ms: malformed time 'fast'"):
        search("mobilenet_v1", max_ms="fast", profile=RECORDED)
    with pytest.raises(ProfileError, match="does not exist"):
        ablate("mobilenet_v1", profile="absent.json")


def test_every_format_has_the_times(run: Run, tmp_path: Path) -> None:
    """Tables, Markdown, CSV and JSON have the times, and the file of a search is read as an accuracy without them."""
    file = tmp_path / "own.csv"
    command = ["ablate", "mobilenet_v1", "--alpha", "0.25", "--profile", str(FILE)]
    table, markdown, text = (run(*command, "--format", name).out for name in ("table", "markdown", "json"))
    run(*command, "-o", str(file))
    (row,) = csv.DictReader(file.read_text().splitlines())
    (record,) = json.loads(text)

    assert "predicted for eager PyTorch on AMD EPYC, 1 thread, float32" in table
    assert "predicted ms" in markdown
    assert [record[name] for name in TIME_COLUMNS] == [float(row[name]) for name in TIME_COLUMNS]
    assert record["low_ms"] < record["predicted_ms"] < record["high_ms"]
    own = ablate("mobilenet_v1", alpha=0.25, accuracy=file).own
    assert own is not None
    assert not {*TIME_COLUMNS} & {*own.own.metrics}


def test_documents_name_the_machine() -> None:
    """The documents of both functions have the settings of the profile, as that of `predict` does."""
    assert convolutions(profile=ROUND).as_dict()["profile"] == ROUND.settings
    assert search("mobilenet_v1", profile=RECORDED).as_dict()["profile"] == RECORDED.settings
    assert search("mobilenet_v1").as_dict()["profile"] is None


def test_the_plot_has_the_time_as_cost() -> None:
    """With a profile, the plot of a search shows the predicted time in milliseconds as cost."""
    from mbanalyze import plots

    grid: dict[str, Any] = {"alpha": [1, 0.5], "resolution": [224, 96], "profile": RECORDED}
    timed = plots.pareto(search("mobilenet_v2", max_ms=9, **grid))
    fastest = plots.pareto(search("mobilenet_v2", objective="predicted_ms", **grid))

    assert timed.get_xlabel() == "predicted time (ms)"
    assert "within 9 ms predicted time" in timed.get_title("left")
    assert fastest.get_ylabel() == "predicted time (ms)"
