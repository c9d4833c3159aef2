"""A profile: the speed of one machine, fitted to operators that were timed on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.ops.record import Op
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.operator_class import class_of, general_class_of

COVERAGE = 0.8
"""The share of networks whose time should be within the predicted interval."""


class Anchor(NamedTuple):
    """A network that was timed for a profile.

    Attributes:
        model: its reference, with options.
        measured_ms: the median of its times, in milliseconds.
        predicted_ms: the time predicted from the other anchors, in milliseconds.
    """

    model: str
    measured_ms: float
    predicted_ms: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The speed of one machine.

    Attributes:
        machine: the processor, or the name of the GPU.
        device: the type of device in torch: `cpu` or `cuda`.
        threads: the threads of torch on the CPU.
        dtype: the element type of weights and activations, a key of `ITEM_SIZES`.
        date: the day of the calibration, as `2026-01-31`.
        versions: versions of the software that was timed, by name.
        rounds: how often each network was timed.
        spread: the share by which the repeats of a network differ: the median over the anchors.
        classes: the fit of each class that was timed (`class_of`).
        general: the fit of each general class (`general_class_of`), used for a class that was not timed.
        operator_ns: nanoseconds from one operator of a network to the next. It is below zero if the clock itself
            takes longer.
        launch_ns: nanoseconds that the CPU takes to start an operator on a device that runs beside it; 0 on a CPU.
        deviation: natural logarithm of the factor within which 80 % of the anchors are from their prediction.
        anchors: the networks that were timed, each predicted from the others.
    """

    machine: str
    device: str
    threads: int
    dtype: str
    date: str
    versions: Mapping[str, str]
    rounds: int
    spread: float
    classes: Mapping[str, ClassFit] = field(default_factory=dict)
    general: Mapping[str, ClassFit] = field(default_factory=dict)
    operator_ns: float = 0.0
    launch_ns: float = 0.0
    deviation: float = 0.0
    anchors: tuple[Anchor, ...] = ()

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return ITEM_SIZES[self.dtype]

    @property
    def name(self) -> str:
        """The machine, device and settings in a few words."""
        threads = f", {self.threads} thread{'s' * (self.threads != 1)}" if self.device == "cpu" else ""
        return f"{self.machine}{threads}, {self.dtype}, {self.date}"

    def fit_of(self, op: Op) -> ClassFit | None:
        """Return the fit of an operator's class, or of its general class; None if neither was timed."""
        return self.classes.get(class_of(op)) or self.general.get(general_class_of(op))
