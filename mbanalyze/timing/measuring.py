"""`measure`: the time that networks take on this machine, in alternating rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mbanalyze.clock.machine import machine_name, require_device, threads_set
from mbanalyze.clock.rounds import Progress, alternate
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import AnyPath, InputError
from mbanalyze.profiles.predicted_time import predict_time
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import TIMED_DTYPES, Profile
from mbanalyze.sources.resolve import Countable
from mbanalyze.timing.measured_time import MeasuredTime, MeasuredTimes
from mbanalyze.timing.timed_models import resolve_all, timed_model
from mbanalyze.trace.restore.process_settings import process_kept


@process_kept()
def measure(
    what: Countable | Sequence[Countable],
    /,
    *inputs: Any,
    device: str = "cpu",
    threads: int | None = None,
    dtype: str | None = None,
    seconds: float = 5.0,
    profile: AnyPath | Profile | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> MeasuredTimes:
    """Measure the time that a network takes on this machine, for a forward in eval mode.

    Each round runs every network once, so that a slow moment affects all of them. The result has the median of the
    rounds and the quartiles. A copy of the module runs, on copies of the inputs: both are left unchanged.

    Args:
        what: a network, as `mbanalyze.count` takes it, or a list of networks to measure in the same rounds.
        inputs: the inputs of each forward, as for `count`; known architectures in a list with other networks take none.
        device: `cpu` or `cuda`, as torch names it.
        threads: the threads of torch on the CPU; by default those of the profile, or else torch's own number.
        dtype: the element type to cast to; by default that of the profile, or else the network's own.
        seconds: the time to spend on rounds; there are at least five.
        profile: a profile, or its file, that predicts the time of each network.
        progress: a callback that receives the completed fraction, up to 1.
        options: hyper-parameters of each network, as for `count`.

    Raises:
        ProfileError: the profile cannot be read.
        UnmeasuredError: the profile has no time for the kind of an operator.
        DeviceError: torch cannot use the device, or this number of threads.
        ChoiceError: unknown element type.
        InputError: there is no network, or an input is missing or malformed.
        OptionError, SourceError: a network could not be built.
        TraceError: a network cannot be run.
    """
    known = profile if profile is None or isinstance(profile, Profile) else read_profile(profile)
    if known is not None:
        threads = known.threads if threads is None else threads
        dtype = known.dtype if dtype is None else dtype
    if dtype is not None:
        choose("dtype", dtype, TIMED_DTYPES)
    models: Sequence[Any] = what if isinstance(what, list | tuple) else [what]
    if not models:
        raise InputError("no network is given: measure one or more")
    require_device(device)
    with threads_set(threads) as used:
        times = _measured(models, inputs, options, (device, dtype, seconds), known, progress)
    return MeasuredTimes(times, machine_name(device), device, used, known)


def _measured(
    models: Sequence[Countable],
    inputs: tuple[Any, ...],
    options: dict[str, Any],
    settings: tuple[str, str | None, float],
    profile: Profile | None,
    progress: Progress | None,
) -> tuple[MeasuredTime, ...]:
    """The times of networks on a device, with an element type, for some seconds."""
    device, dtype, seconds = settings
    resolved = resolve_all(models, inputs, options)
    reports = [each.report() for each in resolved]
    predicted = [predict_time([row.op for row in r.rows], profile) if profile else None for r in reports]
    timed = [
        timed_model(each, report.reference, device, dtype)
        for each, report in zip(resolved, reports, strict=True)
    ]
    alternate([each.time_whole for each in timed], seconds, progress=progress)
    return tuple(
        MeasuredTime(report, dtype or report.dtype, tuple(ns / 1e6 for ns in each.whole), prediction)
        for report, each, prediction in zip(reports, timed, predicted, strict=True)
    )
