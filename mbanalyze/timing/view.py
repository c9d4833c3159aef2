"""The views of all results of this package."""

from mbanalyze.timing.prediction_view import prediction_view, time_groups_view

__all__ = ["prediction_view", "time_groups_view"]
