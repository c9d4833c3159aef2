"""Operators that PyTorch does not know, recorded by name as work that is not counted."""

from __future__ import annotations

from torch import Tensor

from mbanalyze.trace.recorder import Recorder
from mbanalyze.trace.torch_internals import dispatch_modes


def active_recorder() -> Recorder | None:
    """Return the recorder of the trace that runs, unless another mode of dispatch is active."""
    modes = dispatch_modes()
    return modes[-1] if modes and isinstance(modes[-1], Recorder) else None


def record_unknown(
    recorder: Recorder, name: str, operands: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> None:
    """Record an operator that has no formula.

    Args:
        recorder: the recorder of the trace that runs.
        name: the name of the operator, such as `mylib::blur`.
        operands: the tensors that it reads.
        outputs: the tensors that it computes, made where the recorder does not see it.
    """
    recorder.add(recorder.module_stack.paths[-1], name, operands, outputs, (), name.rpartition("::")[2])
