"""The views of all results of this package."""

from mbanalyze.timing.relative_time_view import relative_groups_view, relative_time_view

__all__ = ["relative_groups_view", "relative_time_view"]
