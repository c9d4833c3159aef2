"""The predicted time of variants as columns: milliseconds and their interval."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mbanalyze.inputs.typed import AnyPath
from mbanalyze.ops.record import Op
from mbanalyze.profiles.predicted_time import TimeRange, predict_time
from mbanalyze.profiles.profile_file import dumps, read_profile
from mbanalyze.profiles.time_profile import INTERVAL_PERCENT, Profile
from mbanalyze.sweep.grid import Grid, GridError

TIME_COLUMNS = TimeRange._fields
"""The columns of a predicted time."""
_USUAL = {"mode": "eval", "train": False, "fused": False}
"""The settings of the forward pass that a profile predicts."""


def given_profile(profile: AnyPath | Profile | None) -> Profile | None:
    """Return a profile, or that in a file.

    Raises:
        ProfileError: the file is no profile.
    """
    return profile if profile is None or isinstance(profile, Profile) else read_profile(profile)


def dtype_with(profile: Profile | None, dtype: str | None) -> str | None:
    """Return the element type for byte counts: by default that of the profile.

    Raises:
        GridError: the profile has another element type.
    """
    if profile is None:
        return dtype
    if dtype not in (None, profile.dtype):
        raise GridError(
            f"the profile has times of {profile.dtype}, not of {dtype}: calibrate with --dtype {dtype}"
        )
    return profile.dtype


def require_forward(grid: Grid) -> None:
    """Raise `GridError` if the options ask for another pass than a profile predicts."""
    for name, usual in _USUAL.items():
        if any(value != usual for value in grid.get(name, ())):
            raise GridError(f"a profile has times of an eager forward pass in eval mode: leave out {name}")


def time_columns(networks: Iterable[Sequence[Op]], profile: Profile) -> dict[str, Any]:
    """Return the columns of the predicted time of some networks.

    Raises:
        UnmeasuredError: the profile has no time for the kind of an operator.
    """
    times = [predict_time(ops, profile).total for ops in networks]
    return dict(zip(TIME_COLUMNS, np.array(times, float).reshape(-1, len(TIME_COLUMNS)).T, strict=True))


def digest(profile: Profile) -> str:
    """Return a short text that differs between profiles."""
    return hashlib.sha256(dumps(profile).encode()).hexdigest()[:12]


def time_note(profile: Profile) -> str:
    """Return a sentence on predicted times: their machine, and their interval."""
    return (
        f"predicted for eager PyTorch on {profile.name}; "
        f"{INTERVAL_PERCENT} of networks should take from low to high ms"
    )
