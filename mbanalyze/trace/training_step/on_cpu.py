"""Devices that a forward names: all tensors of a step are on the CPU, so that none is needed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mbanalyze.trace.surroundings.devices import CPU

_MOVES = frozenset({Tensor.cuda, Tensor.xpu, Tensor.pin_memory})
"""Methods that only name a device."""


class OnCPU(TorchFunctionMode):
    """Replaces each device that a function of PyTorch is given, before PyTorch asks for it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _MOVES:
            return args[0]
        kwargs = kwargs or {}
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": CPU}
        if func is Tensor.to and len(args) > 1 and isinstance(args[1], torch.device | str | int):
            args = (args[0], CPU, *args[2:])
        return func(*args, **kwargs)
