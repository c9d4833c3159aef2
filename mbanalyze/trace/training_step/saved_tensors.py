"""The storages that autograd saves for the backward pass."""

from __future__ import annotations

import weakref
from collections import Counter

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mbanalyze.trace.module_stack import ModuleStack
from mbanalyze.trace.region import key_of
from mbanalyze.trace.training_step.allocations import Allocations

_KEPT = frozenset({"params", "buffers"})
"""Contents that are in memory anyway."""


class SavedTensors(saved_tensors_hooks):
    """Adds up the distinct storages that are saved in its context.

    Attributes:
        by_path: the bytes saved, by the path of the first module that saved each storage.
    """

    def __init__(self, stack: ModuleStack, allocations: Allocations) -> None:
        """Take the modules that run, and what is in memory."""
        super().__init__(self._add, _same)
        self.by_path: Counter[str] = Counter()
        self._stack = stack
        self._allocations = allocations
        self._seen: dict[int, weakref.ref[object]] = {}

    def _add(self, tensor: Tensor) -> Tensor:
        storage, key = tensor.untyped_storage(), key_of(tensor)
        if key not in self._seen and self._allocations.content(tensor) not in _KEPT:
            self._seen[key] = weakref.ref(storage, lambda _: self._seen.pop(key))
            self.by_path[self._stack.paths[-1]] += storage.nbytes()
        return tensor


def _same(tensor: Tensor) -> Tensor:
    """Unpack a tensor that was saved as itself."""
    return tensor
