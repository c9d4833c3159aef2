"""`measure`: the time that networks take on this machine, beside the time that a profile predicts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mbanalyze.clock.machine import machine_name, require_device, threads_set
from mbanalyze.clock.rounds import Progress, alternate
from mbanalyze.display.records import finite
from mbanalyze.display.result import Result
from mbanalyze.inputs.choices import choose
from mbanalyze.inputs.typed import AnyPath, InputError
from mbanalyze.profiles.predicted_time import PredictedTime, predict_time
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import TIMED_DTYPES, Profile
from mbanalyze.report.network import Report, versions
from mbanalyze.sources.resolve import Countable, resolve
from mbanalyze.timing.steadiness import MOST_SPREAD, spread_of
from mbanalyze.timing.timed_models import timed_model
from mbanalyze.trace.restore.process_settings import process_kept

MEASURE_SCHEMA = "mbanalyze.measure/1"

MIN_ROUNDS = 5
"""The least number of rounds of a measurement."""


class MeasuredTime(NamedTuple):
    """The time of one network.

    Attributes:
        report: its cost.
        dtype: the element type that it ran with.
        times_ms: the time of its forward in each round, in milliseconds.
        predicted: the time that the profile predicts; None without a profile.
    """

    report: Report
    dtype: str
    times_ms: tuple[float, ...]
    predicted: PredictedTime | None = None

    @property
    def quartiles_ms(self) -> tuple[float, float, float]:
        """The first quartile, the median and the third quartile of the times."""
        first, middle, third = statistics.quantiles(self.times_ms, n=4, method="inclusive")
        return first, middle, third

    @property
    def spread(self) -> float:
        """The range of the middle half of the times, as a share of their median."""
        return spread_of(self.times_ms)

    @property
    def position(self) -> str | None:
        """The side of the predicted interval: "inside", "below" or "above"; None without a prediction."""
        if self.predicted is None:
            return None
        interval, median = self.predicted.total, self.quartiles_ms[1]
        if median < interval.low_ms:
            return "below"
        return "above" if median > interval.high_ms else "inside"

    def as_dict(self) -> dict[str, Any]:
        """Return the time as a flat record; without a prediction, its values are None."""
        first, middle, third = self.quartiles_ms
        total = self.predicted.total if self.predicted else None
        return {
            "model": self.report.model,
            "options": {name: finite(value) for name, value in self.report.options.items()},
            "input": [list(sizes) for sizes in self.report.input],
            "dtype": self.dtype,
            "measured_ms": middle,
            "first_quartile_ms": first,
            "third_quartile_ms": third,
            "spread": self.spread,
            "predicted_ms": total.predicted_ms if total else None,
            "low_ms": total.low_ms if total else None,
            "high_ms": total.high_ms if total else None,
            "coverage": self.predicted.coverage if self.predicted else None,
            "position": self.position,
        }


@dataclass(frozen=True, slots=True, repr=False)
class MeasuredTimes(Result):
    """The times of networks that were measured in the same rounds.

    Attributes:
        times: the time of each network.
        machine: the processor, or the name of the GPU.
        device: the device, as torch names it.
        threads: the threads of torch on the CPU.
        profile: the profile that predicts the times, or None.
    """

    times: tuple[MeasuredTime, ...]
    machine: str
    device: str
    threads: int
    profile: Profile | None = None

    @property
    def rounds(self) -> int:
        """The number of times that each network ran."""
        return len(self.times[0].times_ms)

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons to doubt the times, or their comparison with the profile."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        for time in self.times:
            if time.spread > MOST_SPREAD:
                yield (
                    f"the repeats of {time.report.reference} differ by {time.spread:.0%}: "
                    "stop other programs on this machine and measure again"
                )
        if other := self._differences():
            yield f"the profile is for another {' and '.join(other)}: {self.profile and self.profile.name}"

    def _differences(self) -> list[str]:
        """The settings that differ from those of the profile."""
        if self.profile is None:
            return []
        threads = self.profile.threads if self.profile.device == "cpu" else self.threads
        settings = {
            "machine": (self.machine, self.profile.machine),
            "device": (self.device.partition(":")[0], self.profile.device),
            "number of threads": (self.threads, threads),
            "dtype": ({time.dtype for time in self.times}, {self.profile.dtype}),
        }
        return [name for name, (ours, theirs) in settings.items() if ours != theirs]

    def as_dict(self) -> dict[str, Any]:
        """Return the times as the JSON document of schema `MEASURE_SCHEMA`."""
        return {
            "schema": MEASURE_SCHEMA,
            "machine": self.machine,
            "device": self.device,
            "threads": self.threads,
            "rounds": self.rounds,
            "versions": versions("torch"),
            "profile": self.profile and self.profile.name,
            "models": self.records(),
            "notes": list(self.notes),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each network."""
        return [time.as_dict() for time in self.times]


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
        inputs: the inputs of each forward, as for `count`.
        device: `cpu` or `cuda`, as torch names it.
        threads: the threads of torch on the CPU; by default those of the profile, or else torch's own number.
        dtype: the element type to cast to; by default that of the profile, or else the network's own.
        seconds: the time to spend on rounds; there are at least `MIN_ROUNDS`.
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
    resolved = [resolve(model, *inputs, **options) for model in models]
    reports = [each.report() for each in resolved]
    predicted = [predict_time([row.op for row in r.rows], profile) if profile else None for r in reports]
    timed = [
        timed_model(each, report.reference, device, dtype)
        for each, report in zip(resolved, reports, strict=True)
    ]
    alternate([each.time_whole for each in timed], seconds, MIN_ROUNDS, progress)
    return tuple(
        MeasuredTime(report, dtype or report.dtype, tuple(ns / 1e6 for ns in each.whole), prediction)
        for report, each, prediction in zip(reports, timed, predicted, strict=True)
    )
