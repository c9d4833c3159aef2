"""The profile that a user gives, and the reports whose time it predicts: those that ran as its networks did."""

from __future__ import annotations

from mbanalyze.inputs.typed import AnyPath
from mbanalyze.profiles.predicted_time import PredictedTime, predict_time
from mbanalyze.profiles.profile_file import read_profile
from mbanalyze.profiles.time_profile import TIMED_DTYPES, Profile
from mbanalyze.report.network import Report
from mbanalyze.sources.training_report import FORWARD_ALONE


class PredictionError(ValueError):
    """A network whose time is not predicted: another element type, fused, in training, or without a machine."""


def given_profile(profile: AnyPath | Profile) -> Profile:
    """Return a profile, or that in a file.

    Raises:
        ProfileError: the file is no profile.
    """
    return profile if isinstance(profile, Profile) else read_profile(profile)


def is_training(report: Report) -> bool:
    """Return True if a report is of a forward pass in training mode, with or without its backward pass."""
    return report.training is not None or FORWARD_ALONE in report.notes


def time_of_report(report: Report, profile: Profile) -> PredictedTime:
    """Return the time that the machine of a profile takes for the rows of a report.

    Raises:
        PredictionError: the profile has another element type, or the report is fused or of training.
        UnmeasuredError: the profile has no time for the kind of an operator.
    """
    require_timed(report, profile)
    return predict_time([op for row in report.rows for op in row.recorded], profile)


def require_timed(report: Report, profile: Profile) -> None:
    """Raise `PredictionError` unless a network runs as the networks of a profile did."""
    if report.is_fused:
        raise other_pass("fused")
    if is_training(report):
        raise other_pass("train and mode")
    require_timed_dtype(report.dtype, profile)


def require_timed_dtype(dtype: str, profile: Profile) -> None:
    """Raise `PredictionError` unless a profile has times of an element type."""
    if dtype != profile.dtype:
        calibrate = f", or calibrate with --dtype {dtype}" * (dtype in TIMED_DTYPES)
        raise PredictionError(
            f"the profile has times of {profile.dtype}, not of {dtype}: set dtype to {profile.dtype}{calibrate}"
        )


def other_pass(options: str) -> PredictionError:
    """Return the error for options that ask for another pass than the networks of a profile ran."""
    return PredictionError(f"a profile has times of an eager forward pass in eval mode: leave out {options}")
