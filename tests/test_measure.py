"""Measured times: the result, the module afterwards, the notes, and the command `measure`."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from commandline import Run
from test_calibrate import RECORDED, hand_made
from torch import Tensor, nn
from witness import DATA

from mbanalyze import count, measure
from mbanalyze.clock.machine import DeviceError
from mbanalyze.inputs.typed import InputError
from mbanalyze.profiles.class_fit import TimeParts
from mbanalyze.profiles.predicted_time import OperatorTime, PredictedTime, UnmeasuredError
from mbanalyze.profiles.profile_file import ProfileError, read_profile
from mbanalyze.timing.measured_time import MeasuredTime, MeasuredTimes
from mbanalyze.trace.forward_errors import TraceError

NETS = DATA / "nets.py"
RELU = count(nn.ReLU(), (1, 4))
INTERVAL = PredictedTime((OperatorTime(RELU.rows[0].op, TimeParts(3e6, 0, 0, 0), True, 0.0),), log(1.5))
"""3 ms, from 2 to 4.5 ms."""


def times(*milliseconds: float, predicted: PredictedTime | None = None) -> MeasuredTime:
    """The times of a network in each round."""
    return MeasuredTime(RELU, "float32", milliseconds, predicted)


def test_a_time_is_a_median_with_quartiles() -> None:
    """The median of five rounds is the third time, and the quartiles are the second and the fourth."""
    time = times(5, 1, 4, 2, 3)

    assert time.quartiles_ms == (2, 3, 4)
    # 4 ms - 2 ms, of 3 ms
    assert time.spread == pytest.approx(2 / 3)
    assert time.position is None


@pytest.mark.parametrize(
    ("median", "position"), [(1.9, "below"), (2.1, "inside"), (4.4, "inside"), (4.6, "above")]
)
def test_a_time_is_inside_or_outside_of_the_interval(median: float, position: str) -> None:
    """The interval of 3 ms with a factor of 1.5 is from 2 to 4.5 ms."""
    assert times(median, median, predicted=INTERVAL).position == position


def test_unsteady_times_have_a_note() -> None:
    """Repeats that differ by more than 15 % of the median are a reason to doubt, and no error."""
    steady, unsteady = times(10, 10, 10, 10, 10), times(8, 9, 10, 11, 12)
    measured = MeasuredTimes((steady, unsteady), "a machine", "cpu", 2)

    # 11 ms - 9 ms, of 10 ms
    assert measured.notes == (
        "the repeats of ReLU differ by 20 %: stop other programs on this machine and measure again",
    )
    assert measured.notes[0] in measured.to("table")


def test_a_profile_of_another_machine_has_a_note() -> None:
    """The note names each setting that differs from the profile."""
    profile = hand_made()
    same = MeasuredTimes((times(1, 1, predicted=INTERVAL),), "a machine", "cpu", 2, profile)
    other = replace(same, machine="another", threads=1, times=(same.times[0]._replace(dtype="bfloat16"),))

    assert same.notes == ()
    assert other.notes == (
        "the profile has another machine, number of threads, dtype: a machine, 2 threads, float32, 2026-01-31",
    )


def test_a_table_has_the_prediction() -> None:
    """A row has the median, the quartiles, the spread, and the prediction with its interval."""
    measured = MeasuredTimes((times(4.9, 5, 5.1, predicted=INTERVAL),), "a machine", "cpu", 2, hand_made())
    heading, *lines = measured.to("table").splitlines()

    assert heading == "a machine, cpu, 2 threads, float32, 3 rounds"
    row = "ReLU 1x4 5.00 4.95 to 5.05 2.0 % 3.00 2.00 to 4.50 above 100 %"
    assert row.split() in [line.split() for line in lines]


class Busy(nn.Module):
    """A forward that changes everything that it reaches."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.runs = nn.Linear(4, 4), 0
        self.register_buffer("mean", torch.zeros(4))
        self.cache: list[Tensor] = []
        self.derived = self.fc(torch.ones(1, 4))  # torch does not copy a tensor with a history

    def forward(self, x: Tensor) -> Tensor:
        """`[n, 4]` -> `[n, 4]`."""
        self.runs += 1
        self.mean.add_(1)
        self.cache.append(self.fc(x.mul_(2)))
        torch.manual_seed(random.randrange(9))
        y: Tensor = self.cache[-1] + self.derived
        return y


def test_the_module_and_its_input_are_left_unchanged() -> None:
    """The mode, parameters, buffers, attributes, the input and the random states are as before."""
    module, image = Busy(), torch.ones(2, 4)
    module.fc.eval()
    weight, state = module.fc.weight, (random.getstate(), torch.get_rng_state())
    (time,) = measure(module, image, dtype="bfloat16", seconds=0).times

    assert time.dtype == "bfloat16"
    assert (module.training, module.fc.training, module.runs, module.cache) == (True, False, 0, [])
    assert module.fc.weight is weight
    assert (weight.dtype, weight.is_inference()) == (torch.float32, False)
    assert torch.equal(module.get_buffer("mean"), torch.zeros(4))
    assert torch.equal(image, torch.ones(2, 4))
    assert random.getstate() == state[0]
    assert torch.equal(torch.get_rng_state(), state[1])


def test_a_module_that_a_function_returns_is_left_unchanged() -> None:
    """A factory may return a module that is in use."""
    module = Busy()
    measure(lambda: module, torch.ones(2, 4), seconds=0)

    assert (module.training, module.runs) == (True, 0)


def test_networks_alternate() -> None:
    """Each round times every network once, after a run that is not counted."""
    order: list[str] = []

    class Noted(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name, self.fc = name, nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            order.append(self.name)
            y: Tensor = self.fc(x)
            return y

    measured = measure([Noted("a"), Noted("b")], (1, 4), seconds=0)

    assert measured.rounds == 5
    assert order[-20:] == ["a", "a", "b", "b"] * 5
    assert [time.report.model for time in measured.times] == ["Noted", "Noted"]


def test_known_networks_beside_others_need_no_input() -> None:
    """In a list, the input is that of the other networks; known networks alone refuse it."""
    measured = measure([nn.ReLU(), "squeezenet1_1@resolution=32"], (1, 4), seconds=0)

    assert [time.report.input for time in measured.times] == [((1, 4),), ((1, 3, 32, 32),)]
    with pytest.raises(InputError, match="takes its input from resolution and batch"):
        measure(["squeezenet1_1", "alexnet"], (1, 4))


def test_a_profile_gives_threads_and_dtype() -> None:
    """By default, the threads and the element type are those of the profile; others can be given."""
    profile = replace(hand_made(), threads=2, dtype="bfloat16")
    threads = torch.get_num_threads()
    net = nn.ReLU()
    usual = measure(net, (1, 4), profile=profile, seconds=0)
    other = measure(net, (1, 4), profile=profile, seconds=0, threads=1, dtype="float32")

    assert (usual.threads, usual.times[0].dtype) == (2, "bfloat16")
    assert (other.threads, other.times[0].dtype) == (1, "float32")
    assert torch.get_num_threads() == threads
    # 4 flops of 0.5 ns, 8 elements of 2 bytes of 0.1 ns, and an overhead of 3000 ns
    # to the next operator: 2500 ns, and 0.25 ns for each of these bytes
    assert usual.records()[0]["predicted_ms"] == pytest.approx((4 * 0.5 + 16 * 0.35 + 5500) / 1e6)


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        ((nn.Sigmoid(), (1, 4)), {"profile": hand_made()}, UnmeasuredError, "no times for sigmoid"),
        ((nn.ReLU(), (1, 4)), {"profile": "no.json"}, ProfileError, "no.json does not exist"),
        ((nn.ReLU(), (1, 4)), {"profile": 3}, ProfileError, "or the path of its file, not 3"),
        ((nn.ReLU(), (1, 4)), {"device": None}, DeviceError, "cannot measure on None: give cpu or cuda"),
        (([],), {}, InputError, "no network is given"),
        ((nn.Linear(4, 4, device="meta"), (1, 4)), {}, TraceError, "Linear does not run on cpu: "),
        ((nn.Linear(4, 4), (1, 3)), {}, TraceError, "RuntimeError"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: tuple[Any, ...], settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The error comes before the rounds."""
    with pytest.raises(error, match=message):
        measure(*arguments, seconds=1000, **settings)


def test_the_command_prints_a_document(run: Run) -> None:
    """JSON has a record for each model, and the profile that predicts it."""
    ran = run(
        *("measure", "squeezenet1_1", "mobilenet_v1@alpha=0.25", "--resolution", "32"),
        *("--seconds", "0", "--threads", "1", "--profile", str(RECORDED), "--format", "json"),
    )
    document = json.loads(ran.out)

    assert (ran.code, ran.err) == (0, "")
    assert (document["schema"], document["rounds"]) == ("mbanalyze.measure/1", 5)
    assert document["profile"].items() <= read_profile(RECORDED).as_dict().items()
    assert document["profile"]["machine"] == "AMD EPYC"
    assert [model["model"] for model in document["models"]] == ["squeezenet1_1", "mobilenet_v1"]
    for model in document["models"]:
        assert model["first_quartile_ms"] <= model["measured_ms"] <= model["third_quartile_ms"]
        assert model["low_ms"] < model["predicted_ms"] < model["high_ms"]


def test_the_command_measures_a_file(run: Run) -> None:
    """A model of the user has an input on the command line, and its prints stay out of the result."""
    ran = run("measure", f"{NETS}:small", "--input", "1,3,8,8", "--seconds", "0")

    assert ran.code == 0
    assert f"{NETS}:small" in ran.out
    assert "talk" not in ran.out
    assert "predicted" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["mobilenet_v9"], "unknown model 'mobilenet_v9'"),
        (["mobilenet_v2", "--threads", "0"], "--threads must be a whole number from 1 to 1024, not '0'"),
        (["mobilenet_v2", "--seconds", "-1"], "--seconds must be a number from 0 to 3600, not '-1'"),
        (["mobilenet_v2", "--dtype", "int8"], "unknown dtype 'int8'"),
        (["mobilenet_v2", "--device", "meta"], "cannot measure on 'meta'"),
        (["mobilenet_v2", "--profile", "no.json"], "no.json does not exist"),
        (["mobilenet_v2", "--profile", str(NETS)], "nets.py is no profile"),
        (["resnet18", "--alpha", "0.5"], "resnet18 has no option 'alpha'"),
        ([f"{NETS}:exiting", "--input", "1,3"], "raised SystemExit in module '0'"),
    ],
)
def test_a_wrong_command_ends_in_one_line(
    run: Run, tmp_path: Path, arguments: list[str], problem: str
) -> None:
    """The exit code is 2, stdout is empty, and no file is written."""
    ran = run("measure", *arguments, "--output", str(tmp_path / "out.json"))
    lines = [line for line in ran.err.splitlines() if "talk" not in line]

    assert (ran.code, ran.out, len(lines)) == (2, "", 1)
    assert problem in lines[0]
    assert [*tmp_path.iterdir()] == []
