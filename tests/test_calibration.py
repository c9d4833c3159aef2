"""The fit of a profile to times, the clock of operators, and the refusal of times that disagree."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from math import hypot, log

import pytest
import torch
from torch import Tensor, nn

from mbanalyze import models
from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import make
from mbanalyze.clock.rounds import alternate
from mbanalyze.clock.timed_module import on_device
from mbanalyze.inputs.resolution import sides
from mbanalyze.ops.record import Op
from mbanalyze.profiles.operator_class import class_of
from mbanalyze.profiles.predicted_time import predict_time
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.profiles.work import Work, work_of
from mbanalyze.sources.resolve import count
from mbanalyze.timing.anchors import NETWORKS
from mbanalyze.timing.calibration import fit_profile
from mbanalyze.timing.fitting_classes import ENOUGH_IN_PLACE, deviation_of, fit_class, fit_classes
from mbanalyze.timing.probes import probes
from mbanalyze.timing.samples import Sample, TimedNetwork
from mbanalyze.timing.steadiness import MOST_SPREAD, BusyClock, UnsteadyError, require_steady, spread_of
from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.operator_timer import OperatorTimer
from mbanalyze.trace.tracer import trace

EMPTY = Profile("a machine", "cpu", 1, "float32", "2026-01-31", {}, 5, 0.0)
ACTIVATION = Op("", "relu", (), ())
SMALLEST = {"inception_v3": 139, "alexnet": 96, "vgg16": 32, "xception": 96}
"""Resolutions of the networks that do not run at 64 pixels, or that are slow there."""


def sample(flops: int, activations: int, weights: int, ns: float, *, in_place: bool = True) -> Sample:
    """A sample of one class."""
    return Sample(ACTIVATION, Work(flops, activations, weights), ns, in_place)


@pytest.mark.parametrize("name", list(ARCHS))
def test_timed_operators_are_those_of_the_record(name: str) -> None:
    """The clock gives one time for each operator of every network, in the order of the record."""
    spec = make(name, ARCHS[name], {"resolution": SMALLEST.get(name, 64)})
    with torch.device("meta"):
        module = models.build(spec)
    module = module.to_empty(device="cpu")
    seen = trace(module, torch.zeros(1, 3, *sides(spec.resolution)), timer=OperatorTimer())
    assert list(seen.ops) == spec.ops(1)
    assert len(seen.ops) == len(seen.times)
    assert min(seen.times) > 0


def test_an_operator_with_parts_is_timed_by_its_parts() -> None:
    """An operator that PyTorch composes of others has the times of these."""

    class Composite(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.nn.functional.cosine_similarity(x, x).sum()

    seen = trace(Composite(), torch.ones(2, 3), timer=OperatorTimer())
    assert len(seen.ops) == len(seen.times) > 2


def test_a_recorded_operator_has_the_time_of_the_last_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run before it does not count, and an operator that ran outside the timer has no time."""
    moments = iter([100, 105, 200, 207])
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(moments))
    timer = OperatorTimer()
    assert (timer.run(lambda: "first"), timer.run(lambda: "second")) == ("first", "second")
    timer.assign()
    timer.assign()
    # 207 - 200 ns
    assert timer.nanoseconds() == (7.0, 0.0)


def test_a_forward_with_threads_cannot_be_timed() -> None:
    """Operators of other threads run side by side, and their times do not add up."""
    from concurrent.futures import ThreadPoolExecutor

    class Threaded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(torch.relu, x).result() + 1

    with pytest.raises(TraceError, match="uses other threads cannot be timed"):
        trace(Threaded(), torch.ones(2), timer=OperatorTimer())


def test_a_time_is_the_median_of_its_rounds() -> None:
    """An operator without a time, which ran no kernel, is no sample; one of a network ran in place."""
    ops = count(nn.Sequential(nn.ReLU(), nn.ReLU()), (1, 8)).ops
    network = TimedNetwork("net", ops, ((1.0, 0.0), (9.0, 0.0), (2.0, 5.0)), (4.0, 3.0, 8.0))

    # of 1, 9 and 2 ns, of 0, 0 and 5 ns, and of 4, 3 and 8 ns
    assert (network.operators_ns, network.whole_ns) == ([2.0, 0.0], 4.0)
    assert network.samples(4) == [Sample(ops[0], work_of(ops[0], 4), 2.0, in_place=True)]
    assert [each.in_place for each in replace(network, whole=()).samples(4)] == [False]


def test_the_fit_recovers_the_constants() -> None:
    """Times that follow the formula give back its constants."""
    works = [(10, 2, 3), (20, 9, 1), (70, 4, 8), (1, 30, 5), (50, 50, 50), (200, 1, 2)]
    # t = 2 flops + 3 activation bytes + 5 weight bytes + 7
    fit = fit_class([sample(f, a, w, 2 * f + 3 * a + 5 * w + 7) for f, a, w in works])
    assert pytest.approx([2, 3, 5, 7]) == list(fit[:4])
    assert (6, Work(200, 50, 50)) == (fit.samples, fit.largest)
    assert fit.deviation < 1e-6


def test_constants_are_never_below_zero() -> None:
    """Operators that get faster with more work have no negative constants."""
    fit = fit_class([sample(1000 * n, 0, 0, 100 - n) for n in range(1, 50)])
    assert min(fit[:4]) >= 0


def test_the_fit_has_no_bias() -> None:
    """The mean of measured over predicted times is 1, also if the times scatter."""
    noisy = [sample(n, 0, 0, n * (0.5 if n % 2 else 1.5)) for n in range(100, 200)]
    fit = fit_class(noisy)
    ratios = [each.ns / sum(fit.parts(each.work)) for each in noisy]
    assert pytest.approx(1, abs=0.01) == sum(ratios) / len(ratios)


def test_the_deviation_holds_80_percent() -> None:
    """The deviation is the 80 % quantile of the errors, too high and too low alike."""
    # errors of factors 1.1 and 1 / 1.1 for eight, and of 2 for two: the quantile lies between them
    assert pytest.approx(log(1.1)) == deviation_of(
        [11.0] * 4 + [10.0] * 4 + [20.0], [10.0] * 4 + [11.0] * 4 + [10.0]
    )


def test_micro_benchmarks_fill_in() -> None:
    """A class with enough operators in anchors is fitted to these alone; another one to all samples."""
    anchors = [sample(n, 0, 0, n) for n in range(1, ENOUGH_IN_PLACE + 1)]
    probe = sample(10_000, 0, 0, 1.0, in_place=False)
    enough = fit_classes([*anchors, probe], class_of, in_place_first=True)["relu"]
    assert (enough.samples, enough.largest.flops) == (ENOUGH_IN_PLACE, ENOUGH_IN_PLACE)
    few = fit_classes([*anchors[1:], probe], class_of, in_place_first=True)["relu"]
    assert (few.samples, few.largest.flops, few.in_place) == (ENOUGH_IN_PLACE, 10_000, True)
    assert not fit_classes([probe], class_of, in_place_first=True)["relu"].in_place


def machine(op: Op) -> float:
    """The nanoseconds of an operator on a machine that follows the formula."""
    work = work_of(op, 4)
    factor = 1 + len(class_of(op)) % 3  # each class at its own speed
    return factor * (0.01 * work.flops + 0.1 * work.activation_bytes + 0.2 * work.weight_bytes + 5_000)


def timed(name: str) -> TimedNetwork:
    """A network of the family, timed on this machine: 300 ns and 0.01 ns a byte from one operator to the next."""
    ops = count(name).ops
    times = tuple(map(machine, ops))
    step = sum(300 + 0.01 * work_of(op, 4).activation_bytes for op in ops)
    return TimedNetwork(name, ops, (times,) * 3, (sum(times) + step,) * 3)


@pytest.fixture(scope="module")
def regular() -> Profile:
    """The profile of a machine that follows the formula exactly."""
    names = [f"{name}{',' if '@' in name else '@'}resolution={r}" for name in NETWORKS for r in (128, 96)]
    return fit_profile(EMPTY, [timed(name) for name in names], {n: n.split("resolution")[0] for n in names})


def test_a_machine_that_follows_the_formula_is_recovered(regular: Profile) -> None:
    """The profile predicts a network that was not timed, with the time from one operator to the next."""
    assert pytest.approx([300, 0.01], rel=1e-3) == [regular.step_ns, regular.step_byte_ns]
    assert regular.deviation < 1e-3
    # also the networks with classes of their own, such as the first convolution of ResNet-18
    assert [a.measured_ms for a in regular.anchors] == pytest.approx(
        [a.predicted_ms for a in regular.anchors], rel=0.02
    )
    assert len(regular.anchors) == 2 * len(NETWORKS)
    unseen = timed("mobilenet_v2@alpha=0.75,resolution=160")
    predicted = predict_time(unseen.ops, regular)
    assert pytest.approx(unseen.whole_ns / 1e6, rel=1e-3) == predicted.total.predicted_ms
    assert predicted.coverage == 1


def test_each_anchor_is_predicted_from_the_others() -> None:
    """A network that is slower than the others has the error of their prediction, not of its own fit."""
    usual = [timed(f"mobilenet_v2@alpha={alpha}") for alpha in (0.5, 0.75, 1.0)]
    slow = timed("mobilenet_v2@alpha=1.4")
    slow = replace(
        slow,
        rounds=tuple(tuple(2 * t for t in times) for times in slow.rounds),
        whole=(2 * slow.whole_ns,) * 3,
    )
    profile = fit_profile(EMPTY, [*usual, slow], {network.name: network.name for network in (*usual, slow)})
    anchor = profile.anchors[-1]
    assert pytest.approx(2, rel=0.02) == anchor.measured_ms / anchor.predicted_ms


def test_the_interval_of_fast_networks_has_their_errors() -> None:
    """Times below a millisecond differ as longer ones do."""

    def anchor(name: str, nanoseconds: float) -> TimedNetwork:
        ops = count(nn.ReLU(), (1, 8)).ops
        return TimedNetwork(name, ops, ((nanoseconds,),) * 3, (nanoseconds,) * 3)

    profile = fit_profile(EMPTY, [anchor("a", 1000.0), anchor("b", 3000.0)], {"a": "a", "b": "b"})
    # each has the time of the other, a third or three times its own
    assert pytest.approx(log(3)) == profile.deviation


def test_repeats_that_differ_widen_the_interval() -> None:
    """The deviation has the errors of the anchors and half of the spread of repeats, as independent errors."""
    usual = [timed(f"mobilenet_v2@alpha={alpha}") for alpha in (0.5, 0.75, 1.0)]
    names = {network.name: network.name for network in usual}
    still, moving = (
        fit_profile(replace(EMPTY, spread=spread), usual, names).deviation for spread in (0.0, 0.08)
    )
    assert pytest.approx(hypot(still, 0.04)) == moving


def test_a_gpu_that_waits_for_the_cpu() -> None:
    """The time of a launch comes from networks that take longer than their operators, and bounds predictions."""
    ops = count("mobilenet_v2").ops
    waiting = TimedNetwork("mobilenet_v2", ops, ((1000.0,) * len(ops),) * 3, (5000.0 * len(ops),) * 3)
    profile = fit_profile(replace(EMPTY, device="cuda"), [waiting], {"mobilenet_v2": "mobilenet_v2"})
    assert (profile.launch_ns, profile.step_ns) == (5000, 0)
    # every operator waits for its launch of 5 us
    assert pytest.approx(0.005 * len(ops)) == predict_time(ops, profile).total.predicted_ms
    busy = replace(waiting, whole=(1000.0 * len(ops),) * 3)
    assert fit_profile(replace(EMPTY, device="cuda"), [busy], {"mobilenet_v2": "mobilenet_v2"}).launch_ns == 0


def test_probes_run_and_have_the_classes_that_they_are_for() -> None:
    """The micro-benchmarks time grouped convolutions, activations, norms, attention and the like."""
    classes = {
        class_of(op) for module in probes().values() for op in trace(module, torch.ones(1, device="meta")).ops
    }
    expected = {
        *("silu", "gelu", "sigmoid", "layer_norm", "group_norm", "softmax", "attention", "matmul", "linear"),
        *("conv grouped 3x3 up to 8 channels a group", "conv depthwise 7x7", "conv standard 5x5", "mean"),
        *("conv standard 7x7 stride 2 of an image", "conv pointwise stride 2", "interpolate"),
        "conv pointwise up to 64 pixels",
    }
    assert expected <= classes


@pytest.mark.parametrize(
    ("times", "spread"),
    # middle halves of five values: 100 to 100, 98 to 102, 80 to 140
    [((100, 100, 100, 100, 100), 0.0), ((97, 98, 100, 102, 110), 0.04), ((70, 80, 100, 140, 150), 0.6)],
)
def test_spread_is_that_of_the_middle_half(times: tuple[float, ...], spread: float) -> None:
    """One slow repeat in five does not count."""
    assert pytest.approx(spread) == spread_of(times)


def test_doctored_repeats_are_refused() -> None:
    """Networks whose repeats differ by more than the stated share end the calibration in one line."""
    steady, noisy = (100.0, 101.0, 102.0, 101.0, 100.0), (100.0, 160.0, 105.0, 150.0, 90.0)
    assert require_steady([steady, steady, noisy]) < MOST_SPREAD
    # from 100 to 150, divided by 105
    with pytest.raises(UnsteadyError, match=r"repeats of one network differ by 48 %, more than 15 %: stop"):
        require_steady([steady, noisy, tuple(reversed(noisy))])


@pytest.mark.parametrize(
    ("computed", "seconds", "refused"),
    [
        (9.5, 0.0, False),
        (8.0, 0.0, True),
        # 2 of 10 seconds waited: 10 % of 20 seconds, and more than 10 % of 19
        (8.0, 20.0, False),
        (8.0, 19.0, True),
    ],
)
def test_a_contended_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, computed: float, seconds: float, refused: bool
) -> None:
    """A calibration is refused as soon as its thread waited for more than 10 % of the whole time."""
    moments = iter([0.0, 10.0]), iter([0.0, computed])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments[0]))
    monkeypatch.setattr(time, "thread_time", lambda: next(moments[1]))
    busy = BusyClock(seconds)
    if refused:
        with pytest.raises(UnsteadyError, match=r"took the processor for 20 % of the time"):
            busy.require_idle()
    else:
        busy.require_idle()


def test_rounds_alternate() -> None:
    """Every step runs once in each round, and progress ends at 1."""
    calls: list[str] = []
    steps: list[Callable[[], object]] = [lambda: calls.append("a"), lambda: calls.append("b")]
    fractions: list[float] = []
    assert alternate(steps, 0.0, 3, fractions.append) == 3
    assert calls == ["a", "b"] * 3
    # two steps in each of three rounds
    assert pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]) == fractions
    assert alternate(steps, 0.0) == 5


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library is not glibc 2.33 or newer"
)
def test_freed_memory_is_kept() -> None:
    """A block of 25 MB is mapped from the system in a new process, and not once a module is on a device."""
    script = """
import ctypes, sys, torch
from mbanalyze.clock.timed_module import on_device

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
if sys.argv[1] == "on a device":
    on_device("net", torch.nn.ReLU(), (torch.ones(1),), {}, "cpu")
before = mallinfo2().hblks
block = torch.empty(25 * 2**20, dtype=torch.uint8)
print(mallinfo2().hblks - before)
"""
    # dask sets MALLOC_TRIM_THRESHOLD_ for the processes that it starts, and for this one
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    mapped = [
        subprocess.run(
            [sys.executable, "-c", script, state], capture_output=True, text=True, check=True, env=usual
        ).stdout
        for state in ("new", "on a device")
    ]
    assert mapped == ["1\n", "0\n"]


def test_a_module_is_timed_in_eval_mode() -> None:
    """The whole forward and its operators are timed on the same module and input."""
    module = on_device("net", nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (torch.ones(1, 4),), {}, "cpu")
    module.time_whole()
    module.time_operators()
    assert [op.kind for op in module.ops] == ["linear", "relu"]
    assert (len(module.whole), len(module.rounds), len(module.rounds[0])) == (1, 1, 2)


def test_numbers_alone_have_the_element_type() -> None:
    """An element type converts weights and images, and no indices."""
    image, index = torch.ones(1, 4), torch.tensor([1])
    module = on_device("net", nn.Linear(4, 4), (image, index), {"more": image}, "cpu", torch.bfloat16)

    assert [each.dtype for each in module.args] == [torch.bfloat16, torch.int64]
    assert (module.keywords["more"].dtype, module.module.weight.dtype) == (torch.bfloat16, torch.bfloat16)
