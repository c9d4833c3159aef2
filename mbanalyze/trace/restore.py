"""Running a module without leaving a trace on it, or on the state that all of PyTorch shares."""

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
_OPAQUE = (nn.Module, Tensor, type, FunctionType, MethodType, ModuleType, str, bytes, int, float, type(None))
_USUAL = frozenset({dict, OrderedDict, list, set})
_STANDARD = tuple(nn.Module().__dict__)
_ORDERED = _USUAL - {set}


@contextmanager
def undisturbed(modules: Collection[nn.Module]) -> Iterator[None]:
    """On leaving, `modules` are as they were, and so are the random states of torch, NumPy and Python.

    Put back are mode, parameters and buffers (which tensor each is, its shape, gradient and flags), hooks,
    attributes, and to any depth the dicts, lists, sets, deques, plain objects and random generators that
    attributes hold. Not put back is what else a forward may change: an array's content, a slot, a class, a
    cache outside the module, a file.
    Inside, autocast, the fused attention path and compilation are off: they change which operators run.
    """
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with ExitStack() as stack:
        stack.callback(gc.enable if gc.isenabled() else gc.disable)
        gc.disable()  # what a trace makes stays until it ends
        stack.callback(_Contents(modules).restore)
        stack.callback(_Tensors(modules).restore)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_attention)
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            stack.callback(_restore_numpy, sys.modules["numpy"], sys.modules["numpy"].random.get_state())
        stack.enter_context(torch.random.fork_rng(devices=devices))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        torch.backends.mha.set_fastpath_enabled(False)
        yield


def _restore_numpy(numpy: ModuleType, state: tuple[Any, ...]) -> None:
    now = numpy.random.get_state()
    if now[2:] != state[2:] or not numpy.array_equal(now[1], state[1]):  # setting it is slow
        numpy.random.set_state(state)


class _Contents:
    """Every container that modules hold, with what was in it, and every random generator with its state."""

    def __init__(self, modules: Collection[nn.Module]) -> None:
        self._empty: list[Any] = []  # most are, hooks that nobody registered; what was not is filled again
        self._filled: list[tuple[Any, Any]] = []
        self._generators: list[Callable[[], object]] = []
        self._opaque: set[type] = set()
        left: list[Any] = []
        for module in modules:
            self._look_at(module, left)
        seen: set[int] = set()
        while left:
            thing = left.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if isinstance(thing, _CONTAINERS):
                self._look(thing, left)
            elif isinstance(thing, tuple):
                self._leave(thing, left)
            elif isinstance(thing, torch.Generator):
                self._generators.append(partial(thing.set_state, thing.get_state()))
            elif isinstance(thing, random.Random):
                self._generators.append(partial(thing.setstate, thing.getstate()))
            elif "numpy" in sys.modules and isinstance(thing, sys.modules["numpy"].random.Generator):
                bits = thing.bit_generator
                self._generators.append(partial(setattr, bits, "state", bits.state))
            elif isinstance(getattr(thing, "__dict__", None), dict):
                left.append(thing.__dict__)

    def _look_at(self, module: nn.Module, left: list[Any]) -> None:
        """The same for a module: those that every module has hold tensors, modules, or nothing as a rule."""
        state = module.__dict__
        if tuple(islice(state, len(_STANDARD))) != _STANDARD:
            self._look(state, left)
            return
        self._filled.append((state, state.copy()))
        _, parameters, buffers, *hooks = islice(state.values(), len(_STANDARD) - 1)
        del hooks[_STANDARD.index("_is_full_backward_hook") - 3]  # a flag
        self._empty += hooks
        if any(hooks):
            left += filter(None, hooks)
        for held in parameters, buffers, state["_modules"]:
            if held:
                self._filled.append((held, held.copy()))
            else:
                self._empty.append(held)
        self._leave(islice(state.values(), len(_STANDARD), None), left)

    def _look(self, container: Any, left: list[Any]) -> None:
        """Remember what is in `container`, and leave what may change there for later."""
        self._filled.append((container, container.copy()))
        self._leave(container.values() if isinstance(container, dict) else container, left)

    def _leave(self, values: Iterable[Any], left: list[Any]) -> None:
        opaque = self._opaque
        for value in [value for value in values if type(value) not in opaque]:
            kind = type(value)
            if kind is tuple:
                left += [inner for inner in value if type(inner) not in opaque]
            elif kind in _USUAL and not value:
                self._empty.append(value)
            elif issubclass(kind, _OPAQUE):
                opaque.add(kind)
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


class _Tensors:
    """Parameters and buffers, what they look into and how, and their flags."""

    def __init__(self, modules: Collection[nn.Module]) -> None:
        held: list[Tensor | None] = []
        for module in modules:
            state = module.__dict__  # asking the module itself is slow
            held += state["_parameters"].values()
            held += state["_buffers"].values()
        self._tensors = [tensor for tensor in held if tensor is not None]
        self._states = self._now()
        self._grads = self._now_grads()

    def _now(self) -> list[list[Any]]:
        return [list(map(ask, self._tensors)) for ask in _ASKED]

    def _now_grads(self) -> list[Tensor | None]:
        return [tensor.grad if tensor.is_leaf else None for tensor in self._tensors]  # torch warns of others

    def restore(self) -> None:
        """Undo what changed the tensors themselves, their values apart."""
        if self._now() != self._states:
            for tensor, was in zip(self._tensors, zip(*self._states, strict=True), strict=True):
                if [ask(tensor) for ask in _ASKED] != list(was):
                    _put_back(tensor, *was)
        for tensor, now, before in zip(self._tensors, self._now_grads(), self._grads, strict=True):
            if now is not before:
                tensor.grad = before


_ASKED: tuple[Callable[[Tensor], Any], ...] = (
    Tensor.untyped_storage,
    Tensor.storage_offset,
    operator.attrgetter("shape"),
    Tensor.stride,
    operator.attrgetter("dtype"),
    operator.attrgetter("requires_grad"),
)


def _put_back(
    tensor: Tensor, storage: Any, offset: int, shape: Any, strides: Any, dtype: Any, requires_grad: bool
) -> None:
    with torch.inference_mode(mode=tensor.is_inference()):
        view = torch.empty(0, dtype=dtype, device=storage.device).set_(storage, offset, shape, strides)
        tensor.data = view
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
