"""A module that is timed repeatedly, as a whole and operator by operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mbanalyze.clock.freed_memory import keep_freed_memory
from mbanalyze.clock.machine import is_cuda
from mbanalyze.clock.stopwatch import time_once
from mbanalyze.ops.record import Op
from mbanalyze.trace.operator_timer import CudaOperatorTimer, OperatorTimer
from mbanalyze.trace.torch_internals import tree_map_only
from mbanalyze.trace.tracer import trace


@dataclass
class TimedModule:
    """A module in eval mode on a device, with the times that were measured.

    Attributes:
        name: its reference.
        module: the module.
        args: the positional arguments of its forward, on the device.
        keywords: its keyword arguments.
        device: the device, as torch names it.
        whole: the time of each forward, in nanoseconds.
        rounds: the times of the operators in each timed trace, in nanoseconds.
        ops: the operators of the last timed trace.
    """

    name: str
    module: nn.Module
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
    device: str
    whole: list[float] = field(default_factory=list)
    rounds: list[tuple[float, ...]] = field(default_factory=list)
    ops: tuple[Op, ...] = ()

    def run(self) -> None:
        """Run the forward once, without timing."""
        with torch.inference_mode():
            self.module(*self.args, **self.keywords)

    def time_whole(self) -> None:
        """Time one forward after another, so that other networks of the same rounds leave no traces in the caches."""
        self.run()
        self.whole.append(time_once(self.run, self.device))

    def time_operators(self) -> None:
        """Time each operator of one forward."""
        timer = CudaOperatorTimer() if is_cuda(self.device) else OperatorTimer()
        seen = trace(self.module, *self.args, keywords=self.keywords, timer=timer)
        self.rounds.append(seen.times)
        self.ops = seen.ops


def on_device(
    name: str,
    module: nn.Module,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    device: str,
    dtype: torch.dtype | None = None,
) -> TimedModule:
    """Move a module to a device, in eval mode, with its arguments; `dtype` converts floating-point tensors."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        """The tensor on the device."""
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    if not is_cuda(device):
        keep_freed_memory()
    prepared = module.eval().to(device=device, dtype=dtype)
    args, keywords = tree_map_only(torch.Tensor, moved, (args, dict(keywords)))
    return TimedModule(name, prepared, args, keywords, device)
