"""Running a module without leaving a trace on it, or on the state that all of PyTorch shares."""

from __future__ import annotations

import operator
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set, deque)
_OPAQUE = (nn.Module, Tensor, type, FunctionType, MethodType, ModuleType, str, bytes, int, float, type(None))
_USUAL = frozenset({dict, OrderedDict, list, set})
_ORDERED = _USUAL - {set}


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """On leaving, `model` is as it was, and so are the random states of torch, NumPy and Python.

    Put back are mode, parameters and buffers (which tensor each is, its shape, gradient and flags), hooks,
    attributes, and to any depth the dicts, lists, sets, deques, plain objects and random generators that
    attributes hold. Not put back is what else a forward may change: an array's content, a slot, a class, a
    cache outside the module, a file.
    Inside, autocast, the fused attention path and compilation are off: they change which operators run.
    """
    modules = list(model.modules())
    contents = _Contents(modules)
    tensors = [_Tensor(tensor) for module in modules for tensor in _own_tensors(module)]
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.callback(contents.restore)
        stack.callback(_restore, tensors)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_attention)
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            numpy_random = sys.modules["numpy"].random
            stack.callback(numpy_random.set_state, numpy_random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _restore(tensors: list[_Tensor]) -> None:
    for tensor in tensors:
        tensor.restore()


class _Contents:
    """Every container that modules hold, with what was in it, and every random generator with its state."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self._empty: list[Any] = []  # most are: hooks that nobody registered
        self._filled: list[tuple[Any, Any]] = []
        self._generators: list[Callable[[], object]] = []
        self._opaque: set[type] = set()
        left: list[Any] = []
        for module in modules:
            self._look(module.__dict__, left)
        seen: set[int] = set()
        while left:
            thing = left.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if isinstance(thing, _CONTAINERS):
                self._look(thing, left)
            elif isinstance(thing, torch.Generator):
                self._generators.append(partial(thing.set_state, thing.get_state()))
            elif isinstance(thing, random.Random):
                self._generators.append(partial(thing.setstate, thing.getstate()))
            elif "numpy" in sys.modules and isinstance(thing, sys.modules["numpy"].random.Generator):
                bits = thing.bit_generator
                self._generators.append(partial(setattr, bits, "state", bits.state))
            elif isinstance(getattr(thing, "__dict__", None), dict):
                left.append(thing.__dict__)

    def _look(self, container: Any, left: list[Any]) -> None:
        """Remember what is in `container`, and leave what may change there for later."""
        self._filled.append((container, container.copy()))
        self._leave(container.values() if isinstance(container, dict) else container, left)

    def _leave(self, values: Iterable[Any], left: list[Any]) -> None:
        opaque = self._opaque
        for value in values:
            kind = type(value)
            if kind in opaque:
                continue
            if kind in _USUAL and not value:
                self._empty.append(value)
            elif issubclass(kind, _OPAQUE):
                opaque.add(kind)
            elif issubclass(kind, tuple):
                self._leave(value, left)
            else:
                left.append(value)

    def restore(self) -> None:
        """Fill the containers with what they held, and set the generators."""
        for container in filter(None, self._empty):
            container.clear()
        for container, content in self._filled:
            if type(container) not in _ORDERED and _same(container, content):
                continue  # a set filled again might have another order
            container.clear()
            container.update(content) if isinstance(container, dict | set) else container.extend(content)
        for put_back in self._generators:
            put_back()


def _same(container: Any, content: Any) -> bool:
    return len(container) == len(content) and all(map(operator.is_, _items(container), _items(content)))


def _items(container: Any) -> Iterator[Any]:
    """Keys and values of a dict, elements of the rest."""
    yield from container
    if isinstance(container, dict):
        yield from container.values()


def _own_tensors(module: nn.Module) -> Iterator[Tensor]:
    for tensor in (*module._parameters.values(), *module._buffers.values()):  # noqa: SLF001 (theirs is slow)
        if tensor is not None:
            yield tensor


class _Tensor:
    """A parameter or buffer, what it looks into and how, and its flags."""

    __slots__ = ("_grad", "_tensor", "_was")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._grad = tensor.grad if tensor.is_leaf else None  # torch warns of asking others
        self._was = _state(tensor)

    def restore(self) -> None:
        """Undo what changed the tensor itself, its values apart."""
        tensor, was = self._tensor, self._was
        if _state(tensor) == was:
            return
        storage, offset, shape, strides, dtype, requires_grad, _ = was
        with torch.inference_mode(mode=tensor.is_inference()):
            view = torch.empty(0, dtype=dtype, device=storage.device).set_(storage, offset, shape, strides)
            tensor.data = view
        if tensor.requires_grad != requires_grad:
            tensor.requires_grad_(requires_grad)
        if tensor.is_leaf and tensor.grad is not self._grad:
            tensor.grad = self._grad


def _state(tensor: Tensor) -> tuple[Any, ...]:
    return (
        tensor.untyped_storage(),
        tensor.storage_offset(),
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
        tensor.requires_grad,
        id(tensor.grad) if tensor.is_leaf else None,
    )
