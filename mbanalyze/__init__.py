"""The cost of a vision network: parameters, multiply-accumulates, FLOPs, peak memory and memory access."""

from importlib import import_module
from typing import TYPE_CHECKING

from mbanalyze._version import __version__

if TYPE_CHECKING:
    from mbanalyze import archs, guard, layers
    from mbanalyze import plots as plots
    from mbanalyze.capacity.fitting import fit
    from mbanalyze.capacity.peak import memory
    from mbanalyze.comparison.comparison import compare
    from mbanalyze.crosscheck.explaining import explain
    from mbanalyze.crosscheck.witnesses import check
    from mbanalyze.explorer import explore
    from mbanalyze.inputs.shape import Shape
    from mbanalyze.literature.verdicts import published
    from mbanalyze.memory_access.analysis import guidelines
    from mbanalyze.ops.cost import Cost
    from mbanalyze.ops.record import Op, Value
    from mbanalyze.ops.registry import formula
    from mbanalyze.report.network import Report
    from mbanalyze.sources.resolve import count
    from mbanalyze.spaces.space_search import search_space
    from mbanalyze.spaces.space_tuning import tune_space
    from mbanalyze.sweep.ablation import ablate
    from mbanalyze.sweep.best_variants import search
    from mbanalyze.timing.calibration import calibrate
    from mbanalyze.timing.measuring import measure
    from mbanalyze.timing.predicting import predict
    from mbanalyze.training.evaluate_network import evaluate
    from mbanalyze.training.plan import TrainingPlan
    from mbanalyze.training.train_network import train

__all__ = [
    "Cost",
    "Op",
    "Report",
    "Shape",
    "TrainingPlan",
    "Value",
    "__version__",
    "ablate",
    "archs",
    "calibrate",
    "check",
    "compare",
    "count",
    "evaluate",
    "explain",
    "explore",
    "fit",
    "formula",
    "guard",
    "guidelines",
    "layers",
    "measure",
    "memory",
    "predict",
    "published",
    "search",
    "search_space",
    "train",
    "tune_space",
]

_HOMES = {
    "Cost": "ops.cost",
    "Op": "ops.record",
    "Report": "report.network",
    "Shape": "inputs.shape",
    "TrainingPlan": "training.plan",
    "Value": "ops.record",
    "ablate": "sweep.ablation",
    "calibrate": "timing.calibration",
    "check": "crosscheck.witnesses",
    "compare": "comparison.comparison",
    "count": "sources.resolve",
    "evaluate": "training.evaluate_network",
    "explain": "crosscheck.explaining",
    "explore": "explorer",
    "fit": "capacity.fitting",
    "formula": "ops.registry",
    "guidelines": "memory_access.analysis",
    "measure": "timing.measuring",
    "memory": "capacity.peak",
    "predict": "timing.predicting",
    "published": "literature.verdicts",
    "search": "sweep.best_variants",
    "search_space": "spaces.space_search",
    "train": "training.train_network",
    "tune_space": "spaces.space_tuning",
}
"""The module of each public name, imported at first use: importing the package alone takes no time."""


def __getattr__(name: str) -> object:
    if name in ("archs", "guard", "layers", "plots"):
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """The public names; a star import leaves out `plots`, which needs matplotlib."""
    return [*__all__, "plots"]
