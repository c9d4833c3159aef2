"""The views of both results of this package."""

from mbanalyze.spaces.space_view import space_search_view
from mbanalyze.spaces.tuning_view import space_tuning_view

__all__ = ["space_search_view", "space_tuning_view"]
