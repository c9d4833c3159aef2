"""The command `calibrate` on a small set of networks, its failures, and the view of a profile."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from small_profile import profile
from torch import nn
from witness import DATA

from mbanalyze import calibrate
from mbanalyze.cli.signals import StoppedError
from mbanalyze.clock.machine import DeviceError
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import Anchor, Profile
from mbanalyze.profiles.work import Work
from mbanalyze.timing import anchors, calibration, steadiness
from mbanalyze.timing.samples import TimedNetwork

RECORDED = DATA / "time_profile.json"
ANCHORS = ("mobilenet_v1@alpha=0.25", "squeezenet1_1")


class Probe(nn.Module):
    """A micro-benchmark of one operator that the networks lack."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[1]` -> `[1]`."""
        return torch.tanh(x)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate with two small networks and one micro-benchmark, two rounds of each, on any machine."""
    monkeypatch.setattr(anchors, "NETWORKS", ANCHORS)
    monkeypatch.setattr(anchors, "RESOLUTIONS", (32,))
    monkeypatch.setattr(anchors, "probes", lambda: {"tanh": Probe()})
    monkeypatch.setattr(calibration, "CALIBRATION_ROUNDS", 2)
    monkeypatch.setattr(steadiness, "MOST_SPREAD", 1e9)
    monkeypatch.setattr(steadiness, "MOST_WAITING", 2.0)


@pytest.mark.usefixtures("small")
def test_a_calibration_is_a_file(run: Run, tmp_path: Path) -> None:
    """The file has the anchors, and the classes of networks and micro-benchmarks; stderr has one line."""
    file, own = tmp_path / "profile.json", f"{DATA / 'nets.py'}:ready"
    ran = run(
        *("calibrate", "--seconds", "0", "--threads", "1", "--output", str(file)),
        *("--anchor", "squeezenet1_1@resolution=48", "--anchor", own, "--input", "1,3,64,64"),
    )
    profile = read_profile(file)

    assert (ran.code, ran.out) == (0, "")
    (line,) = (line for line in ran.err.splitlines() if "talk" not in line)
    assert line.startswith(f"mbanalyze: {len(profile.classes)} classes of operators; 80 % of networks ")
    assert [anchor.model for anchor in profile.anchors] == [
        *("mobilenet_v1@alpha=0.25,resolution=32", "squeezenet1_1@resolution=32"),
        *("squeezenet1_1@resolution=48", own),
    ]
    assert (profile.rounds, profile.threads, profile.device, profile.dtype) == (2, 1, "cpu", "float32")
    assert {"conv depthwise 3x3", "max_pool", "tanh"} <= set(profile.classes)
    assert [path.name for path in tmp_path.iterdir()] == ["profile.json"]


SEEDED = """
import torch
from torch import nn

class Seeded(nn.Module):
    def forward(self, x):
        assert x.dtype == torch.bfloat16
        torch.manual_seed(9)
        return torch.relu(x)
"""
"""A network of the user that changes the random state, and runs in one element type."""


@pytest.mark.usefixtures("small")
def test_a_calibration_on_stdout_is_the_same_document(run: Run, tmp_path: Path) -> None:
    """With `--format json`, stdout has the document; the random state and the threads stay as they were."""
    (own := tmp_path / "own.py").write_text(SEEDED)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    ran = run(
        *("calibrate", "--seconds", "0", "--threads", "1", "--dtype", "bfloat16", "--format", "json"),
        *("--anchor", f"{own}:Seeded", "--input", "1,4"),
    )
    after = torch.get_num_threads()
    torch.set_num_threads(threads)

    assert ran.code == 0
    assert json.loads(ran.out)["schema"] == "mbanalyze.profile/1"
    assert json.loads(ran.out)["dtype"] == "bfloat16"
    assert torch.equal(before, torch.get_rng_state())
    assert threads + 1 == after


def unsteady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no spread be small enough."""
    monkeypatch.setattr(steadiness, "MOST_SPREAD", -1.0)


def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time be short enough to wait."""
    monkeypatch.setattr(steadiness, "MOST_WAITING", -1.0)


def without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the import of SciPy fail."""
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)


def as_usual(_: pytest.MonkeyPatch) -> None:
    """Change nothing."""


FAILURES: list[tuple[Callable[[pytest.MonkeyPatch], None], list[str], str]] = [
    (unsteady, [], "stop other programs on this machine and calibrate again"),
    (busy, [], "stop them and calibrate again"),
    (without_scipy, [], "calibrate needs scipy: pip install 'mbanalyze[calibrate]'"),
    (as_usual, ["--device", "abacus"], "cannot measure on 'abacus': give cpu or cuda"),
    (as_usual, ["--device", "meta"], "cannot measure on 'meta': give cpu or cuda"),
    (as_usual, ["--dtype", "int8"], "unknown dtype 'int8': choose one of float32, float16, bfloat16"),
    (as_usual, ["--threads", "0"], "--threads must be a whole number from 1 to 1024, not '0'"),
    (as_usual, ["--seconds", "inf"], "--seconds must be a number from 0 to 3600, not 'inf'"),
    (as_usual, ["--anchor", "mobilenet_v9"], "unknown model 'mobilenet_v9'"),
    (
        as_usual,
        ["--anchor", f"{DATA / 'nets.py'}:small"],
        "small needs the shape of its input, such as --input 1,3,224,224",
    ),
    (as_usual, ["--input", "1,3"], "--input is the input of an --anchor: give one"),
    (
        as_usual,
        ["--anchor", f"{DATA / 'nets.py'}:exiting", "--input", "1,3"],
        "exiting does not run on cpu: SystemExit",
    ),
    (as_usual, ["--format", "csv"], "the format csv contradicts the file "),
]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("prepare", "arguments", "problem"), FAILURES, ids=[each[2] for each in FAILURES])
def test_a_failure_is_one_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], None],
    arguments: list[str],
    problem: str,
) -> None:
    """The exit code is 2, stdout is empty, and an existing file stays as it was."""
    file = tmp_path / "profile.json"
    file.write_text("before")
    prepare(monkeypatch)
    ran = run("calibrate", "--seconds", "0", "--output", str(file), *arguments)
    lines = [line for line in ran.err.splitlines() if not line.startswith("a script may talk")]

    assert (ran.code, ran.out, len(lines)) == (2, "", 1)
    assert problem in lines[0]
    assert (file.read_text(), [*tmp_path.iterdir()]) == ("before", [file])


@pytest.mark.usefixtures("small")
def test_a_busy_machine_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that has to fail ends in its first round; its time is planned to be ten seconds at least."""
    busy(monkeypatch)
    fractions: list[float] = []
    planned: list[float] = []

    def clock(seconds: float) -> steadiness.BusyClock:
        planned.append(seconds)
        return steadiness.BusyClock(seconds)

    monkeypatch.setattr(calibration, "BusyClock", clock)
    with pytest.raises(steadiness.UnsteadyError, match="other programs took the processor"):
        calibrate(threads=1, seconds=1e-3, progress=fractions.append)
    # of two rounds
    assert max(fractions) < 0.5
    assert planned == [10.0]


@pytest.mark.usefixtures("small")
def test_the_first_runs_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have times of the whole and of the operators in each round, and micro-benchmarks of operators alone."""
    timed: list[TimedNetwork] = []

    def fitted(settings: Profile, networks: list[TimedNetwork], _: dict[str, str]) -> Profile:
        timed.extend(networks)
        return settings

    monkeypatch.setattr(calibration, "fit_profile", fitted)
    profile = calibrate(threads=1, seconds=0)

    assert [(len(each.whole), len(each.rounds)) for each in timed] == [(2, 2), (2, 2), (0, 2)]
    assert profile.rounds == 2


@pytest.mark.usefixtures("small")
def test_a_stopped_calibration_leaves_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C during the rounds, the exit code is 130, and nothing is printed or written."""

    def stop(*_: Any) -> int:
        raise StoppedError

    monkeypatch.setattr(calibration, "alternate", stop)

    assert run("calibrate", "--output", str(tmp_path / "profile.json")) == (130, "", "")
    assert [*tmp_path.iterdir()] == []


def test_other_formats_are_no_profile(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table on stdout is followed by a hint on stderr."""
    recorded = read_profile(RECORDED)
    monkeypatch.setattr(calibration, "calibrate", lambda **_: recorded)
    ran = run("calibrate", "--width", "100")

    assert (ran.code, ran.out) == (0, recorded.to("table", width=100))
    assert ran.err == "mbanalyze: a profile is read from JSON alone: save one with --output FILE.json\n"


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_a_number(threads: Any) -> None:
    """Torch is not asked for a number of threads that it cannot have."""
    with pytest.raises(DeviceError, match="threads must be a whole number from 1, not "):
        calibrate(threads=threads)


def hand_made(machine: str = "a machine") -> Profile:
    """A profile of round numbers, of one class and one anchor."""
    fit = ClassFit(0.5, 0.1, 0.0, 3000.0, 7, log(1.25), Work(10, 20, 30), in_place=True)
    anchor = Anchor("net", 10.0, 9.0)
    fits = {"classes": {"relu": fit}, "general": {"relu": fit}}
    settings: dict[str, Any] = {"threads": 2, "spread": 0.04, "step_ns": 2500.0, "step_byte_ns": 0.25}
    return profile(machine=machine, anchors=(anchor,), deviation=log(1.1), **settings, **fits)


def test_a_profile_shows_throughputs() -> None:
    """Constants are shown as throughputs, and deviations as shares."""
    lines = [line.split() for line in hand_made().to("table").splitlines()]

    # 9 ms are 10 % less than 10 ms
    assert ["net", "10.0", "9.00", "-10.0", "%"] in lines
    # 0.5 ns a flop are 2 GFLOP/s, 0.1 ns a byte are 10 GB/s, bytes of weights add no time, 3000 ns are 3 us
    assert ["relu", "2.00", "10.00", "3.00", "anchors", "7", "25.0", "%"] in lines
    assert ["repeats", "differ", "by", "4.0", "%"] in lines
    assert ["interval", "80", "%", "of", "networks", "within", "10.0", "%"] in lines
    # 2500 ns, and 0.25 ns for each of 10^6 bytes
    step = "between operators 2.50 us and 250.00 us for 1 MB of activations"
    assert step.split() in lines
    assert "launch" not in hand_made().to("table")
    assert ["launch", "4.50", "us"] in [
        line.split() for line in replace(hand_made(), launch_ns=4500.0).to("table").splitlines()
    ]


def test_a_low_throughput_is_not_zero() -> None:
    """A throughput below 0.01 keeps two digits."""
    profile = hand_made()
    slow = replace(profile, classes={"relu": profile.classes["relu"]._replace(weight_byte_ns=800.0)})

    # 1 byte in 800 ns
    assert "0.0013" in slow.to("table")


def test_a_profile_has_a_record_for_each_class() -> None:
    """A record has the constants in nanoseconds, and the largest work."""
    constants = {"flop_ns": 0.5, "activation_byte_ns": 0.1, "weight_byte_ns": 0.0, "overhead_ns": 3000.0}
    largest = {"largest_flops": 10, "largest_activation_bytes": 20, "largest_weight_bytes": 30}
    quality = {"samples": 7, "deviation": log(1.25), "in_place": True}

    assert hand_made().records() == [{"class": "relu", **constants, **quality, **largest}]


def test_the_json_of_a_profile_is_its_file() -> None:
    """`to("json")` is the text of the file, to the last byte."""
    assert RECORDED.read_text() == read_profile(RECORDED).to("json")
