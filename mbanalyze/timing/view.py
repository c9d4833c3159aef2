"""The views of all results of this package."""

from mbanalyze.timing.prediction_view import prediction_view, time_groups_view
from mbanalyze.timing.relative_view import relative_groups_view, relative_time_view

__all__ = ["prediction_view", "relative_groups_view", "relative_time_view", "time_groups_view"]
