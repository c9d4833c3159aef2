"""The bytes of storages: copied before a trace, and written back if they changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, UntypedStorage

from mbanalyze.trace.torch_internals import sparse_indices, sparse_values

_COMPRESSED: tuple[Callable[[Tensor], Tensor], ...] = (Tensor.crow_indices, Tensor.col_indices, Tensor.values)
_COMPRESSED_COLUMNS = (Tensor.ccol_indices, Tensor.row_indices, Tensor.values)
_PARTS: dict[torch.layout, tuple[Callable[[Tensor], Tensor], ...]] = {
    torch.strided: (lambda tensor: tensor.values() if tensor.is_nested else tensor,),
    torch.sparse_coo: (sparse_indices, sparse_values),  # the public ones want it coalesced
    torch.sparse_csr: _COMPRESSED,
    torch.sparse_bsr: _COMPRESSED,
    torch.sparse_csc: _COMPRESSED_COLUMNS,
    torch.sparse_bsc: _COMPRESSED_COLUMNS,
}
"""The tensors that hold the elements of a tensor, by its layout."""


def storages_of(tensor: Tensor) -> list[UntypedStorage]:
    """Return the storages of a tensor of any layout; none if torch does not give them away."""
    try:
        return [part(tensor).untyped_storage() for part in _PARTS.get(tensor.layout, ())]
    except RuntimeError:
        return []


def copied_elements(
    tensors: Sequence[Tensor], storages: Sequence[UntypedStorage]
) -> list[tuple[Tensor, UntypedStorage, Tensor]]:
    """Return a tensor of each storage that has data, the storage, and a copy of its elements.

    Args:
        tensors: the tensor of each storage.
        storages: storages, some of them more than once.
    """
    found = {id(storage): (tensor, storage) for tensor, storage in zip(tensors, storages, strict=True)}
    with_data = [(t, s) for t, s in found.values() if s.nbytes() and s.device.type != "meta"]
    return [(tensor, storage, _elements(storage).clone()) for tensor, storage in with_data]


def restore_size(_: Tensor, storage: UntypedStorage, size: int, *, copied: bool) -> None:
    """Restore the size of a storage.

    Raises:
        ValueError: the storage was resized, and there is no copy of its elements.
    """
    if storage.nbytes() != size:
        if not copied and storage.device.type != "meta":
            raise ValueError("its storage was resized")
        storage.resize_(size)


def restore_elements(_: Tensor, storage: UntypedStorage, copy: Tensor) -> None:
    """Restore the elements of a storage, if they changed."""
    if not torch.equal(_elements(storage), copy):
        _elements(storage).copy_(copy)


def _elements(storage: UntypedStorage) -> Tensor:
    """The bytes of a storage, as the widest integers that fit: torch compares bytes slowly."""
    dtype = torch.uint8 if storage.nbytes() % 8 else torch.int64
    return torch.empty(0, dtype=dtype, device=storage.device).set_(storage)
