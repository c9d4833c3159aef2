"""What a vision network costs, and why: parameters, multiply-accumulates, FLOPs and memory access."""

from mbanalyze import archs, layers
from mbanalyze._version import __version__
from mbanalyze.cost import Cost, Op, Value
from mbanalyze.formulas import formula
from mbanalyze.report import Report
from mbanalyze.sources import count

__all__ = [
    "Cost",
    "Op",
    "Report",
    "Value",
    "__version__",
    "archs",
    "count",
    "formula",
    "layers",
]
