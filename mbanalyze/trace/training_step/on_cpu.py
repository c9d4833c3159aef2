"""Devices and kernels of a forward: all tensors of a step are on the CPU, so that no other device is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mbanalyze.trace.surroundings.devices import CPU
from mbanalyze.trace.torch_internals import get_onednn_enabled, set_onednn_enabled

_MOVES = frozenset({Tensor.cuda, Tensor.xpu, Tensor.pin_memory})
"""Methods that only name a device."""


class OnCPU(TorchFunctionMode):
    """Replaces each device that a function of PyTorch is given, before PyTorch asks for it.

    An LSTM runs as single operators, because the workspace of oneDNN's kernel has a size that only the kernel knows.
    """

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
        with without_onednn() if func is torch.lstm else nullcontext():
            return func(*args, **kwargs)


@contextmanager
def without_onednn() -> Iterator[None]:
    """Let PyTorch run no kernel of oneDNN; `mkldnn.flags` would set other flags too, with a warning."""
    enabled = get_onednn_enabled()
    set_onednn_enabled(False)
    try:
        yield
    finally:
        set_onednn_enabled(enabled)
