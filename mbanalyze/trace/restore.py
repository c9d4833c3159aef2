"""Snapshots of modules, tensors and global state, restored after a trace."""

from __future__ import annotations

import gc
import operator
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (dict, list, set, deque)
_PLAIN_CONTAINERS = frozenset({dict, OrderedDict, list, set})
_ORDERED_CONTAINERS = _PLAIN_CONTAINERS - {set}
_OPAQUE = (nn.Module, Tensor, type, FunctionType, MethodType, ModuleType, str, bytes, int, float, type(None))
_MODULE_ATTRIBUTES = tuple(nn.Module().__dict__)
_HOOK_FLAG = _MODULE_ATTRIBUTES.index("_is_full_backward_hook") - 3  # within the hooks, which are dicts


@contextmanager
def preserve_state(modules: Collection[nn.Module]) -> Iterator[None]:
    """Restore `modules` and the random states of torch, NumPy and Python on exit.

    Restored are mode, attributes, hooks, and parameters and buffers: the tensors themselves, their shapes,
    gradients and flags. Dicts, lists, sets, deques, plain objects and random generators in attributes are restored
    to any depth. Not restored are contents of arrays, slots, classes, caches outside the modules, and files.

    Inside the context, autocast and the fused attention path are off, because they change the operators that run.
    """
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.callback(gc.enable if gc.isenabled() else gc.disable)
        gc.disable()  # the objects of a trace live until its end
        stack.callback(_ContainerSnapshot(modules).restore)
        stack.callback(_TensorSnapshot(modules).restore)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_attention)
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            stack.callback(_restore_numpy, sys.modules["numpy"], sys.modules["numpy"].random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _restore_numpy(numpy: ModuleType, state: tuple[Any, ...]) -> None:
    current = numpy.random.get_state()
    if current[2:] != state[2:] or not numpy.array_equal(current[1], state[1]):  # setting the state is slow
        numpy.random.set_state(state)


class _ContainerSnapshot:
    """A copy of every container that modules hold, and the state of every random generator."""

    def __init__(self, modules: Collection[nn.Module]) -> None:
        self._empty: list[Any] = []  # most containers are hooks that nobody registered
        self._filled: list[tuple[Any, Any]] = []
        self._generators: list[Callable[[], object]] = []
        self._opaque: set[type] = set()
        queue: list[Any] = []
        for module in modules:
            self._add_module(module, queue)
        seen: set[int] = set()
        while queue:
            value = queue.pop()
            if id(value) not in seen:
                seen.add(id(value))
                self._add(value, queue)

    def _add_module(self, module: nn.Module, queue: list[Any]) -> None:
        """Copy the attributes of a module; those of every module take a shortcut."""
        state = module.__dict__
        if tuple(islice(state, len(_MODULE_ATTRIBUTES))) != _MODULE_ATTRIBUTES:
            self._add_container(state, queue)
            return
        self._filled.append((state, state.copy()))
        _, parameters, buffers, *hooks = islice(state.values(), len(_MODULE_ATTRIBUTES) - 1)
        del hooks[_HOOK_FLAG]
        self._empty += hooks
        if any(hooks):
            queue += filter(None, hooks)
        for held in parameters, buffers, state["_modules"]:
            if held:
                self._filled.append((held, held.copy()))
            else:
                self._empty.append(held)
        self._enqueue(islice(state.values(), len(_MODULE_ATTRIBUTES), None), queue)

    def _add(self, value: Any, queue: list[Any]) -> None:
        """Copy a container, the state of a generator or the attributes of an object."""
        if isinstance(value, _CONTAINERS):
            self._add_container(value, queue)
        elif isinstance(value, tuple):
            self._enqueue(value, queue)
        elif isinstance(value, torch.Generator):
            self._generators.append(partial(value.set_state, value.get_state()))
        elif isinstance(value, random.Random):
            self._generators.append(partial(value.setstate, value.getstate()))
        elif "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].random.Generator):
            bits = value.bit_generator
            self._generators.append(partial(setattr, bits, "state", bits.state))
        elif isinstance(getattr(value, "__dict__", None), dict):
            queue.append(value.__dict__)

    def _add_container(self, container: Any, queue: list[Any]) -> None:
        self._filled.append((container, container.copy()))
        self._enqueue(container.values() if isinstance(container, dict) else container, queue)

    def _enqueue(self, values: Iterable[Any], queue: list[Any]) -> None:
        """Queue the values that can change, and remember the types of those that cannot."""
        opaque = self._opaque
        for value in [value for value in values if type(value) not in opaque]:
            kind = type(value)
            if kind is tuple:
                queue += [inner for inner in value if type(inner) not in opaque]
            elif kind in _PLAIN_CONTAINERS and not value:
                self._empty.append(value)
            elif issubclass(kind, _OPAQUE):
                opaque.add(kind)
            else:
                queue.append(value)

    def restore(self) -> None:
        """Restore the contents of all containers and the states of all generators."""
        for container in filter(None, self._empty):
            container.clear()
        for container, content in self._filled:
            if type(container) not in _ORDERED_CONTAINERS and _same_items(container, content):
                continue  # refilling a set may change its order
            container.clear()
            container.update(content) if isinstance(container, dict | set) else container.extend(content)
        for set_state in self._generators:
            set_state()


def _same_items(container: Any, content: Any) -> bool:
    return len(container) == len(content) and all(map(operator.is_, _items(container), _items(content)))


def _items(container: Any) -> Iterator[Any]:
    """The keys and values of a dict, or the elements of another container."""
    yield from container
    if isinstance(container, dict):
        yield from container.values()


class _TensorSnapshot:
    """The storage, layout, flags and gradient of every parameter and buffer."""

    def __init__(self, modules: Collection[nn.Module]) -> None:
        held: list[Tensor | None] = []
        for module in modules:
            state = module.__dict__  # attribute access on a module is slow
            held += state["_parameters"].values()
            held += state["_buffers"].values()
        self._tensors = [tensor for tensor in held if tensor is not None]
        self._states = self._get_states()
        self._grads = self._get_grads()

    def _get_states(self) -> list[list[Any]]:
        return [list(map(get, self._tensors)) for get in _GETTERS]

    def _get_grads(self) -> list[Tensor | None]:
        return [tensor.grad if tensor.is_leaf else None for tensor in self._tensors]  # torch warns for others

    def restore(self) -> None:
        """Restore everything except the elements of the tensors."""
        if self._get_states() != self._states:
            for tensor, state in zip(self._tensors, zip(*self._states, strict=True), strict=True):
                if [get(tensor) for get in _GETTERS] != list(state):
                    _restore_tensor(tensor, *state)
        for tensor, current, grad in zip(self._tensors, self._get_grads(), self._grads, strict=True):
            if current is not grad:
                tensor.grad = grad


_GETTERS: tuple[Callable[[Tensor], Any], ...] = (
    Tensor.untyped_storage,
    Tensor.storage_offset,
    operator.attrgetter("shape"),
    Tensor.stride,
    operator.attrgetter("dtype"),
    operator.attrgetter("requires_grad"),
)


def _restore_tensor(
    tensor: Tensor, storage: Any, offset: int, shape: Any, strides: Any, dtype: Any, requires_grad: bool
) -> None:
    with torch.inference_mode(mode=tensor.is_inference()):
        tensor.data = torch.empty(0, dtype=dtype, device=storage.device).set_(storage, offset, shape, strides)
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
