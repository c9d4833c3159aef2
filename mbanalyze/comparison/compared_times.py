"""The predicted times of compared reports on the machine of a profile, and the verdict on two of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mbanalyze.comparison.parts import Part
from mbanalyze.profiles.predicted_time import PredictedTime, TimeRange
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.rows import Row

TIME_TOTALS = (*TimeRange._fields, "coverage")
"""The totals that a profile adds: milliseconds, the limits of their interval, and the share of covered operators."""

SpeedVerdict = Literal["faster", "slower", "too close to call"]


@dataclass(frozen=True, slots=True)
class ComparedTimes:
    """The predicted times of compared reports.

    Attributes:
        profile: the speed of the machine.
        times: the time of each report.
    """

    profile: Profile
    times: tuple[PredictedTime, ...]

    def totals(self, i: int) -> dict[str, float]:
        """Return `TIME_TOTALS` of report `i`."""
        time = self.times[i]
        return dict(zip(TIME_TOTALS, (*time.total, time.coverage), strict=True))

    def verdict(self, i: int, ratio: float | None) -> SpeedVerdict | None:
        """Return the verdict on report `i` beside the first; None for the first, or if a time is unknown.

        Args:
            i: the report.
            ratio: its time divided by that of the first; None if it is unknown.
        """
        if not i or ratio is None:
            return None
        if self.times[i].total.overlaps(self.times[0].total):
            return "too close to call"
        return "faster" if ratio < 1 else "slower"

    def timed(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Return parts of the reports with their times."""
        of_reports = [
            ms_of_parts(time, [part.groups[i].rows for part in parts]) for i, time in enumerate(self.times)
        ]
        times = zip(*of_reports, strict=True)
        return tuple(replace(part, milliseconds=time) for part, time in zip(parts, times, strict=True))


def ms_of_parts(time: PredictedTime, parts: Iterable[Sequence[Row]]) -> list[float]:
    """Return the time of each of some parts of the report that `time` is of."""
    times = {id(each.op): each for each in time.operators}
    return [time.of(times[id(op)] for row in rows for op in row.recorded).predicted_ms for rows in parts]
