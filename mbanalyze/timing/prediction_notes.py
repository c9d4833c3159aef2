"""Reasons to trust a predicted time less."""

from __future__ import annotations

from collections import Counter

from mbanalyze.profiles.operator_class import class_of
from mbanalyze.profiles.predicted_time import PredictedTime
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.report.network import Report


def batch_note(report: Report) -> list[str]:
    """Return the note on a batch of several images; the first of four or more sizes is a batch."""
    batch = max((sizes[0] for sizes in report.input if len(sizes) >= 4), default=1)
    return [f"the profile was timed at batch 1, and this input has batch {batch}"] if batch > 1 else []


def coverage_notes(time: PredictedTime, profile: Profile) -> list[str]:
    """Return the classes that were not timed, and those that were timed for smaller operators only."""
    doubtful = [class_of(each.op) for each in time.operators if not each.is_covered]
    unknown = [name for name in doubtful if name not in profile.classes]
    larger = [name for name in doubtful if name in profile.classes]
    return [
        f"{text}: {', '.join(f'{name} x {times}' for name, times in Counter(names).items())}"
        for text, names in (
            ("classes without times, predicted from similar ones", unknown),
            ("classes with operators over twice as large as those that were timed", larger),
        )
        if names
    ]
