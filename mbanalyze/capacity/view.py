"""The views of all results of this package."""

from mbanalyze.capacity.peak_view import memory_view

__all__ = ["memory_view"]
