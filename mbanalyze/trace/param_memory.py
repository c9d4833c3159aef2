"""Parameters that are parts of one storage, such as slices of a flat tensor."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Owner = TypeVar("Owner")


class InterleavedError(ValueError):
    """Two parameters have elements in common, so an operand could be either."""


class ParamMemory(Generic[Owner]):
    """One storage that holds several parameters, each with an owner.

    Attributes:
        owners: the owners, in the order of their first bytes.
    """

    def __init__(
        self, held: Sequence[tuple[nn.Parameter, Owner]], params: Mapping[str, nn.Parameter]
    ) -> None:
        """Raise `InterleavedError` if two parameters have some elements in common; `params` gives their names."""
        held = sorted(held, key=lambda pair: byte_range(pair[0]))
        self.owners = [owner for _, owner in held]
        self._ranges = [byte_range(param) for param, _ in held]
        pairs = itertools.pairwise(self._ranges)
        overlap = any(b[0] < a[1] and a != b for a, b in pairs)
        self._map = _owner_map([param for param, _ in held], params) if overlap else None

    def owner(self, tensor: Tensor) -> Owner:
        """Return the owner of the first element of `tensor`."""
        if self._map is not None and tensor.numel():
            return self.owners[int(self._map[int(tensor.storage_offset())])]
        start, _ = byte_range(tensor)
        found = (owner for owner, (a, b) in zip(self.owners, self._ranges, strict=True) if a <= start < b)
        return next(found, self.owners[0])

    def read(self, tensor: Tensor) -> list[Owner]:
        """Return the owners of the elements of `tensor`."""
        if self._map is not None:
            viewed = self._map.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
            return [self.owners[at] for at in sorted(set(viewed.flatten().tolist())) if at >= 0]
        start, stop = byte_range(tensor)
        ranges = zip(self.owners, self._ranges, strict=True)
        return [owner for owner, (a, b) in ranges if a < stop and start < b]


def byte_range(tensor: Tensor) -> tuple[int, int]:
    """Return the first byte of `tensor` in its storage, and one past the last."""
    start, elements = int(tensor.storage_offset()) * tensor.itemsize, tensor.numel()
    if elements and not tensor.is_contiguous():
        elements = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + int(elements) * tensor.itemsize


def _owner_map(held: Sequence[nn.Parameter], params: Mapping[str, nn.Parameter]) -> Tensor:
    """The index of the owner of each element of the storage, or -1."""
    itemsize = held[0].itemsize
    owners = torch.full((held[0].untyped_storage().nbytes() // itemsize,), -1)
    for i, param in enumerate(held):
        if param.itemsize != itemsize:
            raise _interleaved(param, held[0], params)
        view = owners.as_strided(param.shape, param.stride(), param.storage_offset())
        taken = sorted(set(view.flatten().tolist()) - {-1})
        if taken:
            raise _interleaved(param, held[taken[0]], params)
        view.fill_(i)
    return owners


def _interleaved(
    param: nn.Parameter, other: nn.Parameter, params: Mapping[str, nn.Parameter]
) -> InterleavedError:
    """The error that names two parameters."""
    names = [name for name, p in params.items() if p is param or p is other]
    return InterleavedError(f"{' and '.join(names)} have elements in common: clone one of them")
