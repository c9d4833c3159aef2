"""What a vision network costs, and why: parameters, multiply-accumulates, FLOPs and memory access."""

from mbanalyze import layers
from mbanalyze._version import __version__
from mbanalyze.archs import ARCHS, MobileNetV1, MobileNetV2
from mbanalyze.cost import Cost, Op, Value
from mbanalyze.report import Report
from mbanalyze.sources import count

__all__ = [
    "ARCHS",
    "Cost",
    "MobileNetV1",
    "MobileNetV2",
    "Op",
    "Report",
    "Value",
    "__version__",
    "count",
    "layers",
]
