"""Running a module without leaving a trace on it, or on the state that all of PyTorch shares."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set, deque)
_OPAQUE = (nn.Module, Tensor, type, FunctionType, MethodType, ModuleType, str, bytes, int, float, type(None))


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """On leaving, `model` is as it was, and so are the random states of torch, NumPy and Python.

    Put back are mode, parameters and buffers (which tensor each is, its shape, gradient and flags), hooks,
    attributes, and to any depth the dicts, lists, sets, deques, plain objects and torch generators that
    attributes hold. Not put back is what else a forward may change: an array's content, a class, a file.
    Inside, autocast and the fused attention path are off: both change which operators run.
    """
    saved, generators = _contents(model)
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.callback(_restore, saved)
        for tensor in (*model.parameters(), *model.buffers()):
            stack.callback(_put_back, tensor, tensor.detach(), tensor.requires_grad, tensor.grad)
        for generator in generators:
            stack.callback(generator.set_state, generator.get_state())
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_attention)
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            numpy_random = sys.modules["numpy"].random
            stack.callback(numpy_random.set_state, numpy_random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _contents(model: nn.Module) -> tuple[list[tuple[Any, Any]], list[torch.Generator]]:
    """Every container that the modules hold, each with a copy of it, and every random generator."""
    saved: list[tuple[Any, Any]] = []
    generators: list[torch.Generator] = []
    seen: set[int] = set()
    left: list[Any] = [module.__dict__ for module in model.modules()]
    while left:
        thing = left.pop()
        if isinstance(thing, _OPAQUE) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, _CONTAINERS):
            saved.append((thing, thing.copy()))
            left += thing.values() if isinstance(thing, dict) else thing
        elif isinstance(thing, tuple):
            left += thing
        elif isinstance(thing, torch.Generator):
            generators.append(thing)
        elif isinstance(getattr(thing, "__dict__", None), dict):
            left.append(thing.__dict__)
    return saved, generators


def _put_back(tensor: Tensor, was: Tensor, requires_grad: bool, grad: Tensor | None) -> None:
    """Undo what changed `tensor` itself; `was` looks into the memory that it looked into, in the same way."""
    if _view(tensor) != _view(was):
        tensor.data = was
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
    if tensor.grad is not grad:
        tensor.grad = grad


def _view(tensor: Tensor) -> tuple[Any, ...]:
    """What a tensor looks into, and how."""
    storage = tensor.untyped_storage()._cdata  # noqa: SLF001 (a meta tensor's only address)
    return storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def _restore(saved: list[tuple[Any, Any]]) -> None:
    for container, content in saved:
        if len(container) == len(content) and all(
            a is b for a, b in zip(_items(container), _items(content), strict=True)
        ):
            continue
        container.clear()
        container.update(content) if isinstance(container, dict | set) else container.extend(content)


def _items(container: Any) -> Iterator[Any]:
    """Keys and values of a dict, elements of the rest."""
    yield from container
    if isinstance(container, dict):
        yield from container.values()
