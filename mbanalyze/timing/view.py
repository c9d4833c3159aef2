"""The views of all results of this package."""

from mbanalyze.timing.measured_view import measured_view
from mbanalyze.timing.prediction_view import prediction_view, time_groups_view

__all__ = ["measured_view", "prediction_view", "time_groups_view"]
