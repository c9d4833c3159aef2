"""Devices that a forward names and the machine does not have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import _C
from torch.cuda.amp import common

CPU = torch.device("cpu")


@contextmanager
def any_device() -> Iterator[None]:
    """Let a forward name devices that the machine does not have.

    PyTorch initialises a device before it calls the operator, puts the numbers of `torch.tensor` there, and
    disables autocast for a missing device.
    """
    with ExitStack() as stack:
        if not _is_available("cuda"):
            _replace(stack, common, "amp_definitely_not_available", bool)
            stack.callback(_C._set_only_lift_cpu_tensors, _C._only_lift_cpu_tensors())  # noqa: SLF001 (no public access)
            _C._set_only_lift_cpu_tensors(True)  # noqa: SLF001 (as above)
        for device in ("cuda", "xpu"):
            if not _is_available(device):
                _replace(
                    stack, getattr(torch, device), "_lazy_init", _nothing
                )  # PyTorch calls it by this name
        yield


def _replace(stack: ExitStack, module: Any, name: str, function: Callable[..., Any]) -> None:
    """Replace a function of a module until the stack ends."""
    stack.callback(setattr, module, name, getattr(module, name))
    setattr(module, name, function)


def on_present_device(argument: Any) -> Any:
    """Return the CPU in place of a device that the machine does not have, and any other argument unchanged."""
    absent = isinstance(argument, torch.device) and not _is_available(argument.type)
    return CPU if absent else argument


@functools.cache
def _is_available(device: str) -> bool:
    available = getattr(getattr(torch, device, None), "is_available", bool)
    return device in ("cpu", "meta") or bool(available())


def _nothing() -> None:
    """Initialise nothing."""
