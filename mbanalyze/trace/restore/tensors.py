"""A snapshot of tensors: storage, layout, flags, hooks, gradient, version and, on request, elements."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, UntypedStorage

from mbanalyze.trace.restore.containers import refill, same
from mbanalyze.trace.restore.object_kinds import mro, namespace
from mbanalyze.trace.restore.storage_bytes import copied_elements, restore_elements, restore_size, storages_of
from mbanalyze.trace.torch_internals import (
    ACCUMULATE_HOOKS,
    HOOKS,
    VERSION,
    DisableTorchDispatch,
    DisableTorchFunction,
    TensorBase,
    set_version,
    swap_tensors,
)

_Getter = Callable[[Any], Any]
_Properties = Callable[[str], _Getter]
"""A function from the name of a property to the function that reads it."""


def _property(name: str) -> _Getter:
    """The property as every tensor has it; a class that derives from `Tensor` may replace it."""
    return namespace(TensorBase)[name].__get__  # type: ignore[no-any-return]


_METHODS: tuple[_Getter, ...] = (
    TensorBase.untyped_storage,
    TensorBase.storage_offset,
    TensorBase.size,
    TensorBase.stride,
)
_FLAGS = ("requires_grad", HOOKS, ACCUMULATE_HOOKS)
_PLAIN = frozenset({Tensor, torch.nn.Parameter})
_UNUSUAL = frozenset({torch.complex32, torch.complex64, torch.complex128}) | frozenset(
    {torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4}
)
"""Types of elements whose tensors have more than a layout: a scale, or elements to conjugate."""


@contextmanager
def plain_torch() -> Iterator[None]:
    """Run no code of modes and of classes that derive from `Tensor`, and record no gradients."""
    with (
        DisableTorchFunction(),
        DisableTorchDispatch(),
        torch.inference_mode(mode=False),
        torch.no_grad(),
    ):
        yield


class TensorSnapshot:
    """The state of tensors, and on request the elements of every storage."""

    def __init__(self, tensors: Sequence[Tensor], *, elements: bool) -> None:
        with plain_torch():
            self._tensors = list(tensors)
            self._properties = _properties_of(self._tensors)
            self._flags = _flags(self._tensors, self._properties)
            if grads := [grad for grad in self._flags[-1] if grad is not None]:
                self._tensors = _each_once([*self._tensors, *grads])
                self._properties = _properties_of(self._tensors)
                self._flags = _flags(self._tensors, self._properties)
            self._classes = list(map(type, self._tensors))
            self._hooks = [
                (OrderedDict, held, dict(held)) for held in self._flags[1] + self._flags[2] if held
            ]
            self._versions = _versions(self._tensors, self._properties)
            self._strided, self._layouts, others = _by_layout(self._tensors)
            self._others = [(tensor, tensor.detach()) for tensor in others]
            held = [(tensor, storage) for tensor in others for storage in storages_of(tensor)]
            self._owners = [*self._strided, *(tensor for tensor, _ in held)]
            self._storages = [*self._layouts[0], *(storage for _, storage in held)]
            self._sizes = self._get_sizes()
            self._elements = copied_elements(self._owners, self._storages) if elements else []

    def _get_sizes(self) -> list[int]:
        return list(map(UntypedStorage.nbytes, self._storages))

    def restore(self, attempt: Callable[..., None]) -> None:
        """Restore each tensor, also if another one cannot be restored."""
        with plain_torch():
            if list(map(type, self._tensors)) != self._classes:
                attempt(_restore_class, zip(self._tensors, self._classes, strict=True))
            if self._get_sizes() != self._sizes:
                sized = zip(self._owners, self._storages, self._sizes, strict=True)
                attempt(partial(restore_size, copied=bool(self._elements)), sized)
            attempt(restore_elements, self._elements)
            if _layouts(self._strided, self._properties) != self._layouts:
                inference = {id(t): v is None for t, v in zip(self._tensors, self._versions, strict=True)}
                modes = [inference[id(tensor)] for tensor in self._strided]
                attempt(_restore_layout, zip(self._strided, modes, *self._layouts, strict=True))
            attempt(_set_data, self._others)
            if not all(map(same, _flags(self._tensors, self._properties), self._flags)):
                attempt(_restore_flags, zip(self._tensors, *self._flags, strict=True))
            attempt(refill, self._hooks)
            if _versions(self._tensors, self._properties) != self._versions:
                attempt(_restore_version, zip(self._tensors, self._versions, strict=True))


def _each_once(tensors: Sequence[Tensor]) -> list[Tensor]:
    return list(dict(zip(map(id, tensors), tensors, strict=True)).values())


def _properties_of(tensors: Iterable[Tensor]) -> _Properties:
    """Access to the properties of tensors: the fastest unless one of their classes may replace a property."""
    return attrgetter if set(map(type, tensors)) <= _PLAIN else _property


def _flags(tensors: Sequence[Tensor], properties: _Properties) -> list[list[Any]]:
    """The flags, hooks and gradient of each tensor, by property."""
    return [*(list(map(get, tensors)) for get in map(properties, _FLAGS)), _grads(tensors, properties)]


def _grads(tensors: Sequence[Tensor], properties: _Properties) -> list[Tensor | None]:
    grad, is_leaf = properties("grad"), properties("is_leaf")
    if all(map(is_leaf, tensors)):
        return list(map(grad, tensors))
    return [grad(tensor) if is_leaf(tensor) else None for tensor in tensors]  # torch warns for others


def _layouts(tensors: list[Tensor], properties: _Properties = _property) -> list[list[Any]]:
    """The layout of each tensor, by property; empty if a tensor has none."""
    try:
        return [list(map(get, tensors)) for get in (*_METHODS, properties("dtype"))]
    except RuntimeError:  # sparse and nested tensors, and those of functorch
        return []


def _by_layout(tensors: list[Tensor]) -> tuple[list[Tensor], list[list[Any]], list[Tensor]]:
    """The tensors that a storage and a layout describe, their layouts, and other tensors.

    Those that run code of their class are left out: their elements are in tensors that they hold.
    """
    dispatching = set(filter(_dispatches, set(map(type, tensors)) - _PLAIN))
    plain = [tensor for tensor in tensors if type(tensor) not in dispatching] if dispatching else tensors
    layouts = _layouts(plain, _properties_of(plain))
    if layouts and _UNUSUAL.isdisjoint(layouts[-1]):
        return plain, layouts, []
    strided = [tensor for tensor in plain if (found := _layouts([tensor])) and found[-1][0] not in _UNUSUAL]
    known = set(map(id, strided))
    return strided, _layouts(strided), [tensor for tensor in plain if id(tensor) not in known]


def _dispatches(class_: type) -> bool:
    """True if a class of tensors runs operators itself."""
    found = next(
        namespace(c)["__torch_dispatch__"] for c in mro(class_) if "__torch_dispatch__" in namespace(c)
    )
    return found is not namespace(Tensor)["__torch_dispatch__"]


def _versions(tensors: list[Tensor], properties: _Properties = _property) -> list[int | None]:
    """The version of each tensor; None for inference tensors."""
    version = properties(VERSION)
    try:
        return list(map(version, tensors))
    except RuntimeError:
        return [None if tensor.is_inference() else version(tensor) for tensor in tensors]


def _restore_version(tensor: Tensor, version: int | None) -> None:
    if version is not None and _versions([tensor]) != [version]:
        set_version(tensor, version)


def _restore_layout(tensor: Tensor, inference: bool, *layout: Any) -> None:
    if _layouts([tensor]) != [[value] for value in layout]:
        storage, offset, size, stride, dtype = layout
        with torch.inference_mode(mode=inference):
            data = torch.empty(0, dtype=dtype, device=storage.device).set_(storage, offset, size, stride)
        _set_data(tensor, data)


def _set_data(tensor: Tensor, data: Tensor) -> None:
    """Give a tensor other data; where torch refuses, as between devices, exchange what is inside of both."""
    if tensor.requires_grad and _property("is_leaf")(tensor):
        tensor.requires_grad_(False)  # torch refuses integers otherwise
    try:
        tensor.data = data
        _versions([tensor])  # raises for what was an inference tensor before: it never had a version
    except RuntimeError:
        swap_tensors(tensor, data)


def _restore_class(tensor: Tensor, class_: type) -> None:
    if type(tensor) is not class_:
        object.__setattr__(tensor, "__class__", class_)


def _restore_flags(tensor: Tensor, requires_grad: bool, *others: Any) -> None:
    backward_hooks, accumulate_hooks, grad = others
    if tensor.requires_grad != requires_grad:
        tensor.requires_grad_(requires_grad)
    _restore_hooks(tensor, HOOKS, backward_hooks)
    _restore_hooks(tensor, ACCUMULATE_HOOKS, accumulate_hooks)
    if _grads([tensor], _property)[0] is not grad:
        tensor.grad = grad


def _restore_hooks(tensor: Tensor, name: str, hooks: Any) -> None:
    current = getattr(tensor, name)
    if current is not hooks:
        if current:
            current.clear()  # torch keeps some hooks of a tensor that has no dict of them any more
        setattr(tensor, name, hooks)
