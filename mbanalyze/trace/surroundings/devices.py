"""Devices that a forward names and the machine does not have."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.cuda.amp import common

from mbanalyze.trace.surroundings.replacing import replaced
from mbanalyze.trace.torch_internals import LAZY_INIT, lift_only_cpu

CPU = torch.device("cpu")


@contextmanager
def any_device(is_followed: Callable[[], bool]) -> Iterator[None]:
    """Let a forward name devices that the machine does not have.

    PyTorch initialises a device before it calls the operator, puts the numbers of `torch.tensor` there, and
    disables autocast for a missing device.

    Args:
        is_followed: gives True in a thread of the trace; other threads get the errors of PyTorch.
    """
    with ExitStack() as stack:
        if not _is_available("cuda"):
            stack.enter_context(replaced(common, "amp_definitely_not_available", bool, is_followed))
            for get, set_ in lift_only_cpu():
                stack.callback(set_, get())
                set_(True)
        for device in ("cuda", "xpu"):
            if not _is_available(device):  # PyTorch calls the function by this name
                stack.enter_context(replaced(getattr(torch, device), LAZY_INIT, _nothing, is_followed))
        yield


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
