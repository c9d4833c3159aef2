"""The casts of `torch.autocast` for tensors without data.

PyTorch casts the arguments of an operator if their device is that of the autocast context. A meta tensor has no such
device. It is therefore wrapped in a tensor that claims the device, and PyTorch's own autocast kernel casts it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.torch_internals import (
    DispatchKey,
    DispatchKeySet,
    autocast_casts,
    has_kernel,
    make_wrapper,
)

Entered = list[tuple[str, bool]]
"""The autocast contexts that one thread of a forward has entered: the device, and True if it casts.

PyTorch has no such list, and says that autocast is off while its own kernel runs.
"""


@contextmanager
def follow_autocast(entered_here: Callable[[], Entered | None]) -> Iterator[None]:
    """Keep the list of each thread of a forward.

    Args:
        entered_here: gives the list of this thread; None if it is not of the trace.
    """
    context: Any = torch.amp.autocast_mode.autocast
    enter, leave = context.__enter__, context.__exit__

    @functools.wraps(enter)
    def following_enter(self: Any) -> Any:
        """Enter the context, and note it."""
        entered = entered_here()
        if entered is not None:
            entered.append((self.device, autocast_casts(self)))
        return enter(self)

    @functools.wraps(leave)
    def following_leave(self: Any, *error: Any) -> Any:
        """Leave the context, and forget it."""
        entered = entered_here()
        if entered:
            entered.pop()
        return leave(self, *error)

    context.__enter__, context.__exit__ = following_enter, following_leave
    try:
        yield
    finally:
        context.__enter__, context.__exit__ = enter, leave


class OnDevice(Tensor):
    """A meta tensor that claims to be on another device."""

    meta: Tensor

    @staticmethod
    def __new__(cls: type[OnDevice], meta: Tensor, device: str) -> OnDevice:  # noqa: PYI034 (PyTorch's type is not `Self`)
        """Wrap `meta`."""
        wrapper: OnDevice = make_wrapper(
            cls,
            meta.shape,
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device=torch.device(device),
        )
        wrapper.meta = meta
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        """Never called: the recorder takes every operator first."""
        raise AssertionError(func)


def autocast_key(overload: Any, entered: Entered) -> tuple[str, DispatchKeySet] | None:
    """Return the device of the innermost autocast context, and the key of its kernel; None if it does not cast."""
    settled: set[str] = set()
    for device, casts in reversed(entered):
        if casts and device not in settled:
            return _key_of(overload, device)
        settled.add(device)
    return None


@functools.cache
def _key_of(overload: Any, device: str) -> tuple[str, DispatchKeySet] | None:
    key = f"Autocast{device.upper()}"
    if not has_kernel(overload.name(), key):
        return None
    return device, DispatchKeySet(getattr(DispatchKey, key))


def unwrap(argument: Any) -> Any:
    """Return the meta tensor inside `argument`, or `argument` itself."""
    return argument.meta if isinstance(argument, OnDevice) else argument
