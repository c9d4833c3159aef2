"""Operators that PyTorch does not know, recorded by name as work that is not counted."""

from __future__ import annotations

from torch import Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

from mbanalyze.trace.recorder import Recorder


def active_recorder() -> Recorder | None:
    """Return the recorder of the trace that runs, unless another mode of dispatch is active."""
    mode = _get_current_dispatch_mode()
    return mode if isinstance(mode, Recorder) else None


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
