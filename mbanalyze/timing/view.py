"""The views of all results of this package."""

from mbanalyze.timing.measured_view import measured_view
from mbanalyze.timing.prediction_view import prediction_view, time_groups_view
from mbanalyze.timing.relative_view import relative_groups_view, relative_time_view

__all__ = [
    "measured_view",
    "prediction_view",
    "relative_groups_view",
    "relative_time_view",
    "time_groups_view",
]
