"""`calibrate`: the speed of this machine, from anchor networks and micro-benchmarks that are timed on it."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import hypot
from typing import Any

from mbanalyze.clock.machine import is_cuda, machine_name, require_device, threads_set
from mbanalyze.clock.rounds import Progress, alternate
from mbanalyze.clock.timed_module import TimedModule
from mbanalyze.inputs.choices import choose
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.profiles.operator_class import class_of, general_class_of
from mbanalyze.profiles.predicted_time import predict_time
from mbanalyze.profiles.time_profile import TIMED_DTYPES, Anchor, Profile
from mbanalyze.profiles.work import work_of
from mbanalyze.report.network import versions
from mbanalyze.timing.anchors import timed_anchors, timed_probes
from mbanalyze.timing.fitting_classes import deviation_of, fit_classes, non_negative, require_solver
from mbanalyze.timing.samples import TimedNetwork, samples_of
from mbanalyze.timing.steadiness import BusyClock, require_steady
from mbanalyze.timing.timed_models import resolve_all
from mbanalyze.trace.restore.process_settings import process_kept

CALIBRATION_ROUNDS = 3
"""The least number of rounds of a calibration."""

_LEAST_SECONDS = 10.0
"""The time of `CALIBRATION_ROUNDS` on an idle machine, about."""

_HOST_BOUND = 1.5
"""A network is limited by the CPU if it takes this many times the sum of its operators on the GPU."""


@process_kept()
def calibrate(
    *anchors: str,
    inputs: Sequence[Any] = (),
    device: str = "cpu",
    threads: int | None = None,
    dtype: str = "float32",
    seconds: float = 30.0,
    progress: Progress | None = None,
    **options: Any,
) -> Profile:
    """Return the speed of this machine as a profile, which predicts the time of networks.

    Networks of the family run for real at batch 1, operator by operator and as a whole, in alternating rounds.
    Micro-benchmarks time the classes of operators that these networks lack. A fit of each class gives its constants.
    Each network is then predicted from the others; the errors give the interval of predictions.

    Args:
        anchors: references of more networks to time, such as those whose operators the profile should cover.
        inputs: the inputs of these networks, except known architectures.
        device: `cpu` or `cuda`, as torch names it.
        threads: the threads of torch on the CPU; by default its own number.
        dtype: the element type of weights and activations.
        seconds: the time to spend on rounds; there are at least `CALIBRATION_ROUNDS`.
        progress: a callback that receives the completed fraction, up to 1.
        options: hyper-parameters of the anchors that you give, as for `count`.

    Raises:
        SolverError: SciPy is not installed.
        DeviceError: torch cannot use the device.
        ChoiceError: unknown element type.
        UnsteadyError: other programs use the machine, or the repeats disagree.
        SourceError, InputError, TraceError: an anchor cannot be run.
    """
    require_solver()
    choose("dtype", dtype, TIMED_DTYPES)
    require_device(device)
    with threads_set(threads) as used:
        more = dict(zip(anchors, resolve_all(anchors, inputs, options), strict=True))
        networks = timed_anchors(more, device, dtype)
        probes = timed_probes(device, dtype)
        rounds = _time([anchor.timed for anchor in networks], probes, seconds, progress)
    settings = Profile(
        machine_name(device),
        "cuda" if is_cuda(device) else device,
        used,
        dtype,
        dt.datetime.now(tz=dt.UTC).date().isoformat(),
        versions("torch"),
        rounds,
        require_steady([anchor.timed.whole for anchor in networks]),
    )
    modules = [*(anchor.timed for anchor in networks), *probes]
    timed = [TimedNetwork(each.name, each.ops, tuple(each.rounds), tuple(each.whole)) for each in modules]
    return fit_profile(settings, timed, {anchor.timed.name: anchor.network for anchor in networks})


def _time(
    networks: Sequence[TimedModule], probes: Sequence[TimedModule], seconds: float, progress: Progress | None
) -> int:
    """Time networks as a whole and by operator, and probes by operator, in alternating rounds; return the rounds."""
    for module in (*networks, *probes):
        module.time_operators()  # the first run of each operator prepares it
        module.rounds.clear()
    steps = [step for network in networks for step in (network.time_whole, network.time_operators)]
    steps += [probe.time_operators for probe in probes]
    if not is_cuda(networks[0].device):
        busy = BusyClock(max(seconds, _LEAST_SECONDS))
        steps = [part for step in steps for part in (step, busy.require_idle)]
    return alternate(steps, seconds, CALIBRATION_ROUNDS, progress)


def fit_profile(settings: Profile, timed: Sequence[TimedNetwork], networks: Mapping[str, str]) -> Profile:
    """Return `settings` with the constants that fit the times of networks and micro-benchmarks.

    Args:
        settings: a profile without constants.
        timed: the times, of which those with times of the whole forward are anchors.
        networks: the name of each anchor, and of the network of which it is one resolution.
    """
    profile = _fitted(settings, timed)
    anchors = [network for network in timed if network.whole]
    predictions = []
    for network in dict.fromkeys(networks.values()):
        own = [anchor for anchor in anchors if networks[anchor.name] == network]
        others = _fitted(settings, [each for each in timed if each not in own])
        # A class that this network alone has keeps its fit: the error of a network whose classes were timed is wanted.
        known = replace(
            others,
            classes={**profile.classes, **others.classes},
            general={**profile.general, **others.general},
        )
        predictions += [
            Anchor(a.name, a.whole_ns / 1e6, predict_time(a.ops, known).total.predicted_ms) for a in own
        ]
    deviation = deviation_of(
        [1e6 * p.predicted_ms for p in predictions], [1e6 * p.measured_ms for p in predictions]
    )
    # Times at another moment differ as the repeats do.
    return replace(profile, deviation=hypot(deviation, settings.spread / 2), anchors=tuple(predictions))


def _fitted(settings: Profile, timed: Sequence[TimedNetwork]) -> Profile:
    """The profile with the fit of each class, and with the time from one operator to the next."""
    samples = samples_of(timed, ITEM_SIZES[settings.dtype])
    anchors = [network for network in timed if network.whole]
    classes = fit_classes(samples, class_of, in_place_first=True)
    profile = replace(settings, classes=classes, general=fit_classes(samples, general_class_of))
    if is_cuda(settings.device):
        return replace(profile, launch_ns=_launch_ns(anchors))
    step, step_byte = _step(anchors, settings.itemsize)
    return replace(profile, step_ns=step, step_byte_ns=step_byte)


def _step(anchors: Sequence[TimedNetwork], itemsize: int) -> tuple[float, float]:
    """The time from one operator to the next, constant and for each byte: what a network takes beyond its operators."""
    sizes = [(len(a.ops), sum(work_of(op, itemsize).activation_bytes for op in a.ops)) for a in anchors]
    beyond = [a.whole_ns - sum(a.operators_ns) for a in anchors]
    step, step_byte = map(float, non_negative(sizes, beyond, [a.whole_ns for a in anchors]))
    return step, step_byte


def _launch_ns(anchors: Sequence[TimedNetwork]) -> float:
    """The time of the CPU for one operator, from the networks that wait for it; 0 if none does."""
    waiting = [a for a in anchors if a.whole_ns > _HOST_BOUND * sum(a.operators_ns)]
    return statistics.median([a.whole_ns / len(a.ops) for a in waiting]) if waiting else 0.0
