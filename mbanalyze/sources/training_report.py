"""The cost of a training step, added to the report of a forward pass in training mode, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import choose
from mbanalyze.report.measured_step import MeasuredStep
from mbanalyze.report.network import Report, versions
from mbanalyze.report.training import TRAINING_DTYPES, training_of
from mbanalyze.training_cost.optimizer_state import OPTIMIZERS

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module

TRAINING_MODE = "forward pass in training mode"
"""The note on `train=True`."""
FORWARD_ALONE = f"{TRAINING_MODE}; the backward pass is not counted"
"""The note on `mode="train"`."""

TRAINED_GRAPH = (
    "training by rules on the operators of the file, whose batch norms stay as they are exported; "
    "the peak of a step needs a module"
)
"""The note on `train=True` for a file without a module."""


def check_training(
    *, train: bool, fused: bool, convention: str | None, optimizer: str | None, dtype: str | None
) -> None:
    """Raise an error, as `ResolvedModel.report` does, for options that contradict `train` or that training lacks."""
    if optimizer is not None:
        choose("optimizer", optimizer, OPTIMIZERS)
        if not train:
            raise OptionError("optimizer is about training: give train=True too")
    if train and fused:
        raise OptionError("fused is for inference and train for training: give one of them")
    if train and convention is not None:
        raise OptionError("convention counts one forward pass and train a training step: give one of them")
    if train and dtype is not None:
        choose("dtype of training", dtype, TRAINING_DTYPES)


def with_training(
    report: Report, optimizer: str, module: Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Report:
    """Return a report with the cost of a training step, and notes on the difference between rules and step.

    Args:
        report: the report of the forward pass in training mode.
        optimizer: the name of the optimizer.
        module: the module, for the step that runs.
        inputs: the positional arguments of its forward, as `ResolvedModel` has them.
        keywords: the keyword arguments.
    """
    step, unknown = _measured(optimizer, report.dtype, module, inputs, keywords)
    found = training_of(report.ops, report.itemsize, report.frozen_weights, optimizer, step)
    notes = [TRAINING_MODE if note == FORWARD_ALONE else note for note in report.notes]
    notes = [*dict.fromkeys([*notes, TRAINING_MODE]), *unknown, *found.differences()]
    return replace(report, training=found, notes=tuple(notes), versions=versions("torch"))


def with_trained_graph(report: Report, optimizer: str) -> Report:
    """Return the report of a file without a module, with the cost of a training step by rules alone."""
    found = training_of(report.ops, report.itemsize, report.frozen_weights, optimizer, None)
    return replace(report, training=found, notes=(*report.notes, TRAINED_GRAPH))


def _measured(
    optimizer: str, dtype: str, module: Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[MeasuredStep | None, list[str]]:
    """A training step on tensors without data, and no note; or None, and a note with the reason."""
    from mbanalyze.trace import forward_args
    from mbanalyze.trace.forward_errors import TraceError, UntrainableError
    from mbanalyze.trace.training_step import run_step

    args, kwargs = forward_args.as_inputs(module, inputs, keywords, real=False)
    try:
        step = run_step(module, *args, keywords=kwargs, optimizer=optimizer, dtype=dtype)
    except UntrainableError:
        raise
    except TraceError as error:
        return None, [f"the peak of a training step is unknown: {error}"]
    counts = {
        "backward_macs": step.backward_macs,
        "saved_bytes": step.saved_bytes,
        "gradient_bytes": step.gradient_bytes,
        "optimizer_bytes": step.peak.split.optimizer_state,
    }
    return MeasuredStep(step.peak.phase, step.peak.split._asdict(), counts), []
