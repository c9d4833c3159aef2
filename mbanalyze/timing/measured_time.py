"""The measured time of networks, beside the time that a profile predicts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from mbanalyze.display.records import finite
from mbanalyze.display.result import Result
from mbanalyze.profiles.predicted_time import PredictedTime
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report, versions
from mbanalyze.timing.steadiness import MOST_SPREAD, spread_of

MEASURE_SCHEMA = "mbanalyze.measure/1"


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
                    f"the repeats of {time.report.reference} differ by {100 * time.spread:.0f} %: "
                    "stop other programs on this machine and measure again"
                )
        if other := self._differences():
            yield f"the profile has another {', '.join(other)}: {self.profile and self.profile.name}"

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
            "profile": self.profile and self.profile.settings,
            "models": self.records(),
            "notes": list(self.notes),
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each network."""
        return [time.as_dict() for time in self.times]
