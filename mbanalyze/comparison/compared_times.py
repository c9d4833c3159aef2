"""The predicted times of compared reports on the machine of a profile, and the verdict on two of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mbanalyze.comparison.parts import Part
from mbanalyze.inputs.typed import AnyPath
from mbanalyze.profiles.predicted_time import PredictedTime, TimeRange, predict_time
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row
from mbanalyze.sources.training_report import FORWARD_ALONE

TIME_TOTALS = (*TimeRange._fields, "coverage")
"""The totals that a profile adds: milliseconds, the limits of their interval, and the share of covered operators."""
SETTINGS = ("machine", "device", "threads", "dtype", "date")
"""The attributes of a profile that a result repeats."""

SpeedVerdict = Literal["faster", "slower", "too close to call"]


class ReportTimeError(ValueError):
    """A report whose time a profile does not predict: another element type, fused, or of training."""


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

    def settings(self) -> dict[str, Any]:
        """Return the machine and the settings of the profile by name."""
        return {name: getattr(self.profile, name) for name in SETTINGS}


def given_profile(profile: AnyPath | Profile) -> Profile:
    """Return a profile, or that in a file.

    Raises:
        ProfileError: the file is no profile.
    """
    return profile if isinstance(profile, Profile) else read_profile(profile)


def time_of(report: Report, profile: Profile) -> PredictedTime:
    """Return the time that the machine of a profile takes for the rows of a report.

    Raises:
        ReportTimeError: the profile has another element type, or the report is fused or of training.
        UnmeasuredError: the profile has no time for the kind of an operator.
    """
    if report.is_fused or report.training or FORWARD_ALONE in report.notes:
        raise ReportTimeError(
            "a profile predicts eager PyTorch in eval mode: leave out fused, train and mode"
        )
    if report.dtype != profile.dtype:
        raise ReportTimeError(
            f"the profile is of {profile.dtype}, {report.model} was counted in {report.dtype}: "
            f'set dtype = "{profile.dtype}", or use a profile of {report.dtype}'
        )
    return predict_time([op for row in report.rows for op in row.recorded], profile)


def ms_of_parts(time: PredictedTime, parts: Iterable[Sequence[Row]]) -> list[float]:
    """Return the time of each of some parts of the report that `time` is of."""
    times = {id(each.op): each for each in time.operators}
    return [time.of(times[id(op)] for row in rows for op in row.recorded).predicted_ms for rows in parts]
