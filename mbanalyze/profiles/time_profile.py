"""A profile: the speed of one machine, fitted to operators that were timed on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mbanalyze.display.result import Result
from mbanalyze.ops.cost import ITEM_SIZES
from mbanalyze.ops.record import Op
from mbanalyze.profiles.class_fit import ClassFit
from mbanalyze.profiles.operator_class import class_of, general_class_of

SCHEMA_NAME, SCHEMA_NUMBER = "mbanalyze.profile", 1
PROFILE_SCHEMA = f"{SCHEMA_NAME}/{SCHEMA_NUMBER}"

INTERVAL_SHARE = 0.8
"""The share of networks whose measured time should be within the predicted interval."""
INTERVAL_PERCENT = f"{100 * INTERVAL_SHARE:.0f} %"
"""The same as text."""

TIMED_DTYPES = ("float32", "float16", "bfloat16")
"""The element types that networks are timed with."""


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


@dataclass(frozen=True, slots=True, repr=False)
class Profile(Result):
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
        step_ns: nanoseconds from one operator of a network to the next.
        step_byte_ns: nanoseconds of this step for each byte of activations, whose memory is freed.
        launch_ns: nanoseconds that the CPU takes to start an operator on a device that runs beside it; 0 on a CPU.
        deviation: natural logarithm of the factor within which 80 % of networks should be from their prediction: the
            errors of the anchors, and half of the spread.
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
    step_ns: float = 0.0
    step_byte_ns: float = 0.0
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

    @property
    def settings(self) -> dict[str, Any]:
        """The machine, the calibration and its quality, as documents of predicted times repeat them."""
        return {
            "machine": self.machine,
            "device": self.device,
            "threads": self.threads,
            "dtype": self.dtype,
            "date": self.date,
            "versions": dict(self.versions),
            "rounds": self.rounds,
            "spread": self.spread,
            "deviation": self.deviation,
        }

    def fit_of(self, op: Op) -> ClassFit | None:
        """Return the fit of an operator's class, or of its general class; None if neither was timed."""
        return self.classes.get(class_of(op)) or self.general.get(general_class_of(op))

    def as_dict(self) -> dict[str, Any]:
        """Return the profile as the JSON document of schema `PROFILE_SCHEMA`."""
        return {
            "schema": PROFILE_SCHEMA,
            **self.settings,
            "step_ns": self.step_ns,
            "step_byte_ns": self.step_byte_ns,
            "launch_ns": self.launch_ns,
            "anchors": [anchor._asdict() for anchor in self.anchors],
            "classes": {name: _fit_record(fit) for name, fit in self.classes.items()},
            "general": {name: _fit_record(fit) for name, fit in self.general.items()},
        }

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each class: its name, its constants, and the largest work of its samples."""
        return [
            {
                "class": name,
                **{key: value for key, value in fit._asdict().items() if key != "largest"},
                **{f"largest_{part}": most for part, most in fit.largest._asdict().items()},
            }
            for name, fit in self.classes.items()
        ]


def _fit_record(fit: ClassFit) -> dict[str, Any]:
    return {**fit._asdict(), "largest": fit.largest._asdict()}
