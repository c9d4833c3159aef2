"""Parameters, buffers and constants of a program, with or without their values; those that share storage do so here."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from mbanalyze.model_files.pt2_file.damage import reading
from mbanalyze.model_files.pt2_file.pt2_graph import evaluated
from mbanalyze.model_files.pt2_file.pt2_program import HeldTensor, Pt2Program

_MAX_VALUES = 2**16
"""The most elements of a buffer or constant whose values are read for a trace, which they may decide."""

_Place = tuple[str, str]


class StoredTensors:
    """Makes the tensors of a program."""

    def __init__(self, program: Pt2Program, *, has_values: bool) -> None:
        """Take a program; weights stay in the file unless `has_values`.

        The elements of weights that stay there are arbitrary. Weights that are larger than the file have none.
        """
        self._program = program
        self._has_values = has_values
        self._random = torch.Generator().manual_seed(0)
        self._made: dict[tuple[object, ...], Tensor] = {}
        self._bytes: dict[_Place, int] = {}
        self._storages: dict[tuple[_Place, bool], torch.UntypedStorage] = {}
        with reading(str(program.archive.path)):
            for held in program.held:
                place = _place(held)
                self._bytes[place] = max(self._bytes.get(place, 0), _end(held))
        self._device = "cpu" if sum(self._bytes.values()) <= program.archive.size else "meta"

    def tensor(self, held: HeldTensor) -> Tensor:
        """Return a tensor; all of its names have the same one.

        Raises:
            ModelFileError: it is too large, or its values are missing.
        """
        with reading(f"{self._program.archive.path}: {held.kind} {held.name}"):
            key = (_place(held), held.kind, held.meta)
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = self._new(held)
            return found

    def _new(self, held: HeldTensor) -> Tensor:
        sizes, strides = evaluated(held.meta.sizes, {}), evaluated(held.meta.strides, {})
        (offset,) = evaluated((held.meta.offset,), {})
        small = held.kind != "parameter" and prod(sizes) <= _MAX_VALUES
        storage = self._storage(held, valued=held.entry is not None and (self._has_values or small))
        empty = torch.empty(0, dtype=getattr(torch, held.meta.dtype), device=storage.device)
        tensor = empty.set_(storage, offset, sizes, strides)
        if self._has_values and not held.entry:
            _fill(tensor, self._random)
        if held.kind != "parameter":
            return tensor
        trained = held.meta.requires_grad and (tensor.is_floating_point() or tensor.is_complex())
        return nn.Parameter(tensor, requires_grad=trained)

    def _storage(self, held: HeldTensor, *, valued: bool) -> torch.UntypedStorage:
        """The storage of a tensor, with the values in the file if `valued`."""
        place = _place(held)
        found = self._storages.get((place, valued))
        if found is None:
            size = self._bytes[place]
            if valued and size:
                content = self._program.archive.tensor_bytes(*place, size)
                found = torch.frombuffer(content, dtype=torch.uint8).untyped_storage()
            else:
                device = "cpu" if self._has_values else self._device
                found = torch.empty(size, dtype=torch.uint8, device=device).untyped_storage()
            self._storages[place, valued] = found
        return found


def _place(held: HeldTensor) -> _Place:
    """The folder and name of the values of a tensor; those that are pickled have a place of their own."""
    return held.entry or ("", held.name)


def _fill(tensor: Tensor, random: torch.Generator) -> None:
    """Fill a tensor whose values are pickled in the file, which are not read."""
    if tensor.is_floating_point():
        tensor.uniform_(generator=random)
    else:
        tensor.zero_()


def _end(held: HeldTensor) -> int:
    """The bytes of a storage up to the end of a tensor in it."""
    sizes, strides = evaluated(held.meta.sizes, {}), evaluated(held.meta.strides, {})
    (offset,) = evaluated((held.meta.offset,), {})
    if len(sizes) != len(strides) or min((*sizes, *strides, offset), default=0) < 0:
        raise ValueError(f"{held.name} has malformed sizes")
    last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    itemsize: int = getattr(torch, held.meta.dtype).itemsize
    return (offset + last + 1) * itemsize if prod(sizes) else 0
