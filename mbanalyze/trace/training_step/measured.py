"""The memory of a training step or of a forward pass, as exact bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Phase = Literal["forward", "backward", "optimizer"]
"""The part of a training step that runs."""


class MemorySplit(NamedTuple):
    """The bytes that are held at one time, by content.

    Attributes:
        params: parameters; tied ones count once.
        buffers: buffers, such as running statistics.
        gradients: gradients of parameters.
        optimizer_state: tensors that the optimizer keeps from step to step.
        activations: inputs, and what the forward computed: saved for the backward pass or in use.
        temporaries: what the backward pass or the optimizer computes and releases.
    """

    params: int = 0
    buffers: int = 0
    gradients: int = 0
    optimizer_state: int = 0
    activations: int = 0
    temporaries: int = 0


@dataclass(frozen=True, slots=True)
class MemoryPeak:
    """The most memory that is held at once, parameters and buffers included.

    Attributes:
        bytes: the bytes held.
        split: the same bytes by content.
        phase: the phase that runs at the peak.
    """

    bytes: int
    split: MemorySplit
    phase: Phase


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """The memory of one step of a running training, and the work of its backward pass.

    Attributes:
        peak: the most memory held at once.
        saved_bytes: distinct storages that autograd saved for the backward pass, without parameters and buffers.
        saved_by_path: the same bytes by the path of the first module that saved each storage.
        gradient_bytes: gradients of all parameters after the backward pass.
        backward_macs: multiply-accumulates of the backward pass; None if an operator has no formula.
        uncounted: the operators of the backward pass without a formula.
    """

    peak: MemoryPeak
    saved_bytes: int
    saved_by_path: dict[str, int] = field(repr=False)
    gradient_bytes: int
    backward_macs: int | None
    uncounted: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """The most bytes held at once."""
        return self.peak.bytes
