"""The views of all results of this package."""

from mbanalyze.crosscheck.check_view import check_view, checked_view
from mbanalyze.crosscheck.explained_view import explained_view

__all__ = ["check_view", "checked_view", "explained_view"]
