"""Each command has the parameters of the library's function with its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import pytest

import mbanalyze
from mbanalyze.cli.arguments import ModelOptions, expand
from mbanalyze.cli.program import COMMANDS
from mbanalyze.sources.resolved_model import ResolvedModel

PRESENTATION = {
    *("format", "output", "plot", "plot_filters", "plot_size", "width", "strict", "check"),
    *("by", "top", "sort", "depth", "collapse", "columns", "tune_space"),
}
"""Parameters of commands alone: they choose how the result is shown, the exit code, and one of several functions."""
OPTIONS = {"alpha", "resolution", "rho", "set", "batch"}
"""Parameters of commands that are keyword arguments of the library."""
LIBRARY = {"options", "progress", "shortcuts", "executor", "calls"}
"""Parameters of the library alone."""
LEFT_OUT = {
    "ablate": {"seeds", "recipe", "epochs", "lr", "optimizer", "device", "download"},
    "memory": {"fused", "train", "optimizer", "convention"},
    "predict": {"mode", "fused", "train", "optimizer", "convention"},
}
"""Command -> parameters of the library that it leaves out: `memory` is that of one forward pass, `predict` its time.

The command `ablate` has the fields of a `TrainingPlan`, which the function takes as one argument.
"""
RENAMED = {"what": "model", "inputs": "input", "counters": "counter", "anchors": "anchor"}
"""Name in the library -> name in the command."""

TWINS: dict[str, tuple[Callable[..., Any], ...]] = {
    "report": (mbanalyze.count, ResolvedModel.report),  # `count` passes its keyword arguments on to `report`
    "memory": (mbanalyze.memory, ResolvedModel.report),
    "fit": (mbanalyze.fit,),
    "predict": (mbanalyze.predict, ResolvedModel.report),
    "calibrate": (mbanalyze.calibrate,),
    "measure": (mbanalyze.measure,),
    "check": (mbanalyze.check,),
    "explain": (mbanalyze.explain,),
    "ablate": (mbanalyze.ablate,),
    "compare": (mbanalyze.compare,),
    "search": (mbanalyze.search, mbanalyze.search_space, mbanalyze.tune_space),
    "train": (mbanalyze.train,),
    "evaluate": (mbanalyze.evaluate,),
    "published": (mbanalyze.published,),
    "guidelines": (mbanalyze.guidelines,),
}
"""Command -> the functions of the library that take its arguments."""


def defaults(*functions: Callable[..., Any]) -> dict[str, Any]:
    """Return the default of each parameter; () for no default in the library's `*args`."""
    parameters = [p for function in functions for p in inspect.signature(function).parameters.values()]
    return {p.name: None if p.default in (p.empty, ()) else p.default for p in parameters}


def differences(command: Callable[..., Any], *functions: Callable[..., Any]) -> set[str]:
    """Return the parameters that only one of command and library has, or that have other defaults."""
    known = defaults(*functions)
    expected = {
        RENAMED.get(name, name): value for name, value in known.items() if name not in LIBRARY | {"self"}
    }
    options = OPTIONS - known.keys() if "options" in known else set()
    left_out = (PRESENTATION - known.keys()) | options
    found = {name: value for name, value in defaults(expand(command)).items() if name not in left_out}
    return {
        name
        for name in found.keys() | expected.keys()
        if (name in found, found.get(name)) != (name in expected, expected.get(name))
    }


@pytest.mark.parametrize("name", TWINS)
def test_a_command_and_its_function_have_equal_parameters(name: str) -> None:
    """Names and defaults are equal, except those in the lists above."""
    command = getattr(import_module(f"mbanalyze.cli.{name}"), name)

    assert differences(command, *TWINS[name]) == LEFT_OUT.get(name, set())


def test_every_command_has_a_twin() -> None:
    """Only `models`, which lists names, and `guard`, a group, have no function."""
    assert set(COMMANDS) - TWINS.keys() == {"models", "guard"}


def test_a_difference_is_found() -> None:
    """A missing parameter, an additional one and another default are differences."""

    def check(model: str, given: ModelOptions, real: bool = True, other: Annotated[int, ""] = 1) -> None:
        """Lack `keep`, change `real` and add `other`."""

    assert differences(check, mbanalyze.check) == {"keep", "real", "other"}


def test_options_of_a_model_are_expanded() -> None:
    """A parameter that takes a dataclass becomes its fields, and the command receives the dataclass."""

    def command(model: str, given: ModelOptions, last: int = 3) -> object:
        return model, given, last

    expanded = expand(command)

    assert [*inspect.signature(expanded).parameters] == [
        *("model", "alpha", "resolution", "set", "batch", "input", "last")
    ]
    made = expanded(model="m", alpha=0.5, resolution=None, set=["x=1"], batch=2, input=None, last=4)
    assert made == ("m", ModelOptions(alpha=0.5, set=["x=1"], batch=2), 4)
    assert ModelOptions(alpha=0.5, set=["x=1"], batch=2).options == {"alpha": 0.5, "batch": 2, "x": 1}
