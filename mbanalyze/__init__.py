"""What a vision network costs, and why: parameters, multiply-accumulates, FLOPs and memory access."""

from importlib import import_module
from typing import TYPE_CHECKING

from mbanalyze import archs, layers
from mbanalyze._version import __version__
from mbanalyze.ops.cost import Cost
from mbanalyze.ops.record import Op, Value
from mbanalyze.ops.registry import formula
from mbanalyze.report.network import Report
from mbanalyze.sources.subject import count

if TYPE_CHECKING:
    from mbanalyze.comparison.comparison import compare
    from mbanalyze.crosscheck.witnesses import check
    from mbanalyze.explorer import explore
    from mbanalyze.sweep.ablation import ablate
    from mbanalyze.sweep.budget import search

__all__ = [
    "Cost",
    "Op",
    "Report",
    "Value",
    "__version__",
    "ablate",
    "archs",
    "check",
    "compare",
    "count",
    "explore",
    "formula",
    "layers",
    "search",
]

_HOMES = {
    "ablate": "sweep.ablation",
    "check": "crosscheck.witnesses",
    "compare": "comparison.comparison",
    "explore": "explorer",
    "search": "sweep.budget",
}
"""What comes with NumPy or pandas, or is for notebooks, is imported when it is first asked for."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
