"""The views of all results of this package."""

from mbanalyze.capacity.fitting_view import fit_view
from mbanalyze.capacity.peak_view import memory_view

__all__ = ["fit_view", "memory_view"]
