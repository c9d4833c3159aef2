"""What a vision network costs, and why: parameters, multiply-accumulates, FLOPs and memory access."""

from importlib import import_module
from typing import TYPE_CHECKING

from mbanalyze import archs, layers
from mbanalyze._version import __version__
from mbanalyze.cost import Cost, Op, Value
from mbanalyze.formulas import formula
from mbanalyze.report import Report
from mbanalyze.sources import count

if TYPE_CHECKING:
    from mbanalyze.ablation import ablate
    from mbanalyze.budget import search
    from mbanalyze.comparison import compare
    from mbanalyze.explorer import explore

__all__ = [
    "Cost",
    "Op",
    "Report",
    "Value",
    "__version__",
    "ablate",
    "archs",
    "compare",
    "count",
    "explore",
    "formula",
    "layers",
    "search",
]

_HOMES = {"ablate": "ablation", "compare": "comparison", "explore": "explorer", "search": "budget"}
"""What comes with NumPy or pandas, or is for notebooks, is imported when it is first asked for."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
