"""The views of all results of this package."""

from mbanalyze.timing.measured_view import measured_view

__all__ = ["measured_view"]
