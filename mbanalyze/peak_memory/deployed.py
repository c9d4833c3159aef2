"""The account `deployed`: the memory of an inference engine for small devices.

Batch norm and activation are part of the convolution before them. A depthwise convolution writes each channel over its
input. The input of a residual block stays until the addition.

Source: MCUNet (arXiv:2007.10319) section 3.2, in-place depthwise convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from mbanalyze.ops.record import Op
from mbanalyze.peak_memory.fusion import fused
from mbanalyze.peak_memory.liveness import is_elementwise, timeline_of
from mbanalyze.peak_memory.timeline import Timeline


def deployed(ops: Sequence[Op], itemsize: int, outputs: Collection[int] | None = None) -> Timeline:
    """Return the activations in memory while each merged operator runs; arguments as for `liveness.ideal`."""
    return timeline_of([each.op for each in fused(ops, outputs)], itemsize, outputs, _in_place)


def _in_place(op: Op) -> bool:
    """True for an operator that can write over its input."""
    return is_elementwise(op) or op.variant == "depthwise"
