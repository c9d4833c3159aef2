"""Snapshots of containers, attributes, slots and random generators, and of all that they hold."""

from __future__ import annotations

import gc
import operator
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.restore.containers import clear, copied, elements, is_unchanged, refill, same
from mbanalyze.trace.restore.keyed_state import KeyedState, attributes_of, slots_of
from mbanalyze.trace.restore.object_kinds import ObjectKind, Role, kind_of, namespace

_TENSOR_DICT: Callable[[Any], dict[str, Any]] = namespace(Tensor)["__dict__"].__get__
_PLAIN: tuple[type, ...] = (str, bytes, int, float, bool, type(None), torch.dtype, torch.device)
_CONTAINERS = frozenset({dict, OrderedDict, list, set})
_MANY = 1000  # elements from which it is faster to look at their classes first


class ObjectSnapshot:
    """The contents of every container and object that is reachable from some values.

    Attributes:
        tensors: all tensors found.
        code: the functions and classes found as values, which this snapshot does not look into.
        classes: the classes of users that these objects derive from, which it does look into.
        states: the slots, and what else is read and written by key.
        seen: all objects found, by id.
    """

    def __init__(self, seen: dict[int, Any], tensors: Iterable[Tensor] = ()) -> None:
        self.tensors = list(tensors)
        self.code: list[Any] = []
        self.classes: dict[type, None] = {}
        self.states: list[KeyedState] = []
        self.seen = seen
        self._empty: list[Any] = []  # most containers are hooks that nobody registered
        self._filled: list[tuple[Any, Any, Any]] = []
        self._owners: list[tuple[Any, type, Any, Any]] = []
        self._tensor_dicts: list[dict[str, Any]] = []
        self._generators: list[Callable[[], object]] = []
        self._arrays: list[tuple[Any, Any]] = []
        self._kinds: dict[type, ObjectKind] = {}
        self._opaque: set[type] = set(_PLAIN)
        self._queue: list[Any] = []
        self._visits: dict[Role, Callable[[Any], object]] = {
            "tensor": self.tensors.append,
            "module": self._add_scripted,
            "function": self.code.append,
            "class": self.code.append,
            "cache": self.code.append,
            "generator": self._add_generator,
            "array": self._add_array,
            "reference": lambda reference: self.enqueue([reference()]),
            "holder": lambda holder: self.enqueue(gc.get_referents(holder)),
        }

    def add(self, values: Iterable[Any]) -> None:
        """Look into values, and into all that they and the modules hold."""
        self.enqueue(values)
        while self._queue or len(self._tensor_dicts) < len(self.tensors):
            while self._queue:
                value = self._queue.pop()
                if id(value) not in self.seen:
                    self.seen[id(value)] = value
                    self._add(value)
            self._add_tensor_attributes()

    def enqueue(self, values: Iterable[Any]) -> None:
        """Queue the values that can change, and remember the classes of those that cannot."""
        opaque, kinds = self._opaque, self._kinds
        if isinstance(values, list | dict) and len(values) > _MANY and set(map(type, values)) <= opaque:
            return
        held = [value for value in values if type(value) not in opaque]
        inner = chain.from_iterable(value for value in held if type(value) is tuple)
        self._queue += [value for value in inner if type(value) not in opaque and self._kind(type(value))]
        for value in held:
            class_ = type(value)
            if class_ is tuple:
                continue
            if class_ in _CONTAINERS and not value:
                self._empty.append(value)
            elif class_ in kinds or self._kind(class_):
                self._queue.append(value)
            else:
                opaque.add(class_)

    def add_classes(self, classes: Iterable[type]) -> None:
        """Look into classes."""
        for class_ in classes:
            if class_ not in self.classes:
                self.classes[class_] = None
                self.add_state(attributes_of(class_))

    def look_at(self, classes: Iterable[type]) -> None:
        """Look into the users' classes from which some classes derive."""
        for class_ in classes:
            self._kind(class_)

    def _kind(self, class_: type) -> ObjectKind | None:
        kind = self._kinds.get(class_) or kind_of(class_)
        if kind and class_ not in self._kinds:
            self._kinds[class_] = kind
            self.add_classes(kind.classes)
        return kind

    def _add(self, value: Any) -> None:
        kind = self._kinds[type(value)]
        if kind.role:
            self._visits[kind.role](value)
        if kind.attributes and kind.role != "tensor":
            attributes = kind.attributes(value)
            self._owners.append((value, type(value), kind.attributes, attributes))
            self._add_container(dict, attributes)
        self._add_parts(value, kind)

    def _add_parts(self, value: Any, kind: ObjectKind) -> None:
        """Look into the elements and the slots of an object."""
        if kind.base:
            self._add_container(kind.base, value)
        if kind.slots:
            self.add_state(slots_of(value, kind.slots))

    def _add_scripted(self, module: Any) -> None:
        """Look at the tensors of a TorchScript module, which no attribute holds."""
        if issubclass(type(module), torch.jit.ScriptModule):
            self.enqueue([*module.parameters(), *module.buffers()])

    def _add_container(self, base: Any, container: Any) -> None:
        content = copied(base, container)
        self._filled.append((base, container, content))
        self.enqueue(elements(base, container))
        if issubclass(base, dict):
            self.enqueue(content)

    def add_state(self, state: KeyedState) -> None:
        """Keep values by key, and look into them."""
        self.states.append(state)
        self.enqueue(state.saved.values())

    def _add_tensor_attributes(self) -> None:
        """Copy the attributes of the tensors found since the last call."""
        tensors = self.tensors[len(self._tensor_dicts) :]
        dicts = list(map(_TENSOR_DICT, tensors))
        self._tensor_dicts += dicts
        self._empty += [attributes for attributes in dicts if not attributes]
        for attributes in filter(None, dicts):
            self._add_container(dict, attributes)
        for class_ in set(map(type, tensors)):
            kind = self._kind(class_)
            if kind and kind.slots:
                for tensor in tensors:
                    if type(tensor) is class_:
                        self._add_parts(tensor, kind)

    def _add_generator(self, generator: Any) -> None:
        if isinstance(generator, random.Random):
            state = random.Random.getstate(generator)
            self._generators.append(partial(random.Random.setstate, generator, state))
        elif hasattr(generator, "set_state"):  # of torch, or the older one of NumPy
            self._generators.append(partial(generator.set_state, generator.get_state()))
        else:
            bits = generator.bit_generator
            self._generators.append(partial(setattr, bits, "state", bits.state))

    def _add_array(self, array: Any) -> None:
        """Copy a NumPy array, unless it is read-only or a file."""
        if array.flags.writeable and type(array).__name__ != "memmap":
            self._arrays.append((array, array.copy()))
            if array.dtype.hasobject:
                self.enqueue(array.ravel().tolist())

    def stored(self) -> list[Any]:
        """Return what containers and objects hold that they did not hold before."""
        found: list[Any] = []
        for container in filter(None, self._empty):
            found += container.values() if isinstance(container, dict) else container
        for base, container, content in self._filled:
            if not is_unchanged(base, container, content):
                found += elements(base, container)
        for owner, _, attributes, held in self._owners:
            if attributes(owner) is not held:
                found.append(attributes(owner))
        return found + [value for state in self.states for value in state.stored()]

    def restore(self, attempt: Callable[..., None]) -> None:
        """Restore everything but tensors and random generators."""
        attempt(_restore_owner, self._owners)
        if not same(map(_TENSOR_DICT, self.tensors), self._tensor_dicts):
            attempt(_restore_tensor_dict, zip(self.tensors, self._tensor_dicts, strict=True))
        attempt(clear, zip(filter(None, self._empty)))
        attempt(refill, self._filled)
        attempt(KeyedState.restore, zip(self.states))
        attempt(_restore_array, self._arrays)

    def restore_generators(self, attempt: Callable[..., None]) -> None:
        """Restore the states of the random generators."""
        attempt(operator.call, zip(self._generators))


def _restore_owner(owner: Any, class_: type, attributes: Any, held: dict[str, Any]) -> None:
    if type(owner) is not class_:
        object.__setattr__(owner, "__class__", class_)
    if attributes(owner) is not held:
        attributes.__self__.__set__(owner, held)


def _restore_tensor_dict(tensor: Tensor, held: dict[str, Any]) -> None:
    if _TENSOR_DICT(tensor) is not held:
        tensor.__dict__ = held


def _restore_array(array: Any, content: Any) -> None:
    if array.dtype.hasobject or array.tobytes() != content.tobytes():
        array[...] = content
