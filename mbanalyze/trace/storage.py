"""The number and role of each tensor of a trace. Tensors are identified by the memory that they view."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mbanalyze.ops.record import Role, Value, canonical_strides


class InterleavedError(ValueError):
    """Two parameters overlap in memory, so a view could belong to either."""


class _Region:
    """Memory that is counted as one tensor: an activation, a stored constant or a parameter.

    Attributes:
        number: the number within its role, or -1 before its first use.
        param: the parameter stored here, or None once an operator has read it.
        start, stop: the byte range of a parameter that is only a part of its storage, else 0.
        storage: the storage, kept alive so that its address stays unique.
        last_tensor: the tensor whose `Value` was computed last.
        value: the value of `last_tensor`, or None if it has to be computed again.
    """

    __slots__ = ("last_tensor", "number", "param", "role", "start", "stop", "storage", "value")

    def __init__(self, role: Role, tensor: Tensor, param: nn.Parameter | None = None) -> None:
        self.storage = tensor.untyped_storage()
        self.role = role
        self.number = -1
        self.param = param
        self.start = self.stop = 0
        self.last_tensor = tensor
        self.value: Value | None = None


class Storages:
    """The memory of every tensor of one trace.

    A view has the number of the tensor that it views. Writing to an activation gives it a new number.
    """

    def __init__(self, params: Mapping[str, nn.Parameter]) -> None:
        """Raise `InterleavedError` if two different parameters overlap in memory."""
        self._params = params
        self._next_number: dict[Role, int] = {"activation": 0, "weight": 0, "buffer": 0}
        self._regions: dict[int, _Region] = {}
        self._shared: dict[int, list[_Region]] = {}  # storages that hold several parameters
        self._meta_copies: dict[tuple[int, torch.dtype], Tensor] = {}
        for param in params.values():
            key = param.untyped_storage()._cdata  # noqa: SLF001 (the only address of a meta tensor)
            region = _Region("weight", param, param)
            if param.storage_offset():
                region.start, region.stop = _byte_range(param)
            if self._regions.setdefault(key, region) is not region:
                self._shared.setdefault(key, [self._regions[key]]).append(region)
        for regions in self._shared.values():
            self._set_ranges(regions)

    def _set_ranges(self, regions: list[_Region]) -> None:
        """Set the byte ranges of parameters that share a storage, and sort them."""
        for region in regions:
            assert region.param is not None
            region.start, region.stop = _byte_range(region.param)
        regions.sort(key=lambda region: (region.start, region.stop))
        for a, b in itertools.pairwise(regions):
            if b.start < a.stop and (a.start, a.stop) != (b.start, b.stop):
                names = [name for name, p in self._params.items() if p is a.param or p is b.param]
                raise InterleavedError(f"{' and '.join(names)} are interleaved in memory: clone one of them")

    def unread_params(self) -> tuple[str, ...]:
        """Return the names of the parameters that no operator has read."""
        regions = itertools.chain(self._regions.values(), *self._shared.values())
        unread = {id(region.param) for region in regions if region.param is not None}
        return tuple(name for name, param in self._params.items() if id(param) in unread)

    def add_input(self, tensor: Tensor) -> None:
        """Add an input of the model: an activation, unless it views a parameter."""
        self._value_of(tensor, self._region_of(tensor, "activation"))

    def is_weight(self, tensor: Tensor) -> bool:
        """Return True if `tensor` views a parameter."""
        return self._region_of(tensor).role == "weight"

    def is_view(self, tensor: Tensor, of: tuple[Tensor, ...]) -> bool:
        """Return True if `tensor` views one of `of`. If not, it is added as an activation."""
        region = self._region_of(tensor, "activation")
        return any(region is self._region_of(other) for other in of)

    @staticmethod
    def share_storage(a: Tensor, b: Tensor) -> bool:
        """Return True if both tensors view the same storage."""
        return a.untyped_storage()._cdata == b.untyped_storage()._cdata  # type: ignore[no-any-return]  # noqa: SLF001 (as above)

    def read(self, tensors: tuple[Tensor, ...]) -> tuple[tuple[Value, ...], int]:
        """Return the values of an operator's operands, and how many learned scalars it is the first to read."""
        values, params = [], 0
        for tensor in tensors:
            key = tensor.untyped_storage()._cdata  # noqa: SLF001 (as above)
            region = self._regions.get(key) or self._add_region(tensor, key, "buffer")
            if key in self._shared:
                region = self._region_of(tensor)
                params += self._read_shared(tensor, self._shared[key])
            elif region.param is not None:
                params += region.param.numel()
                region.param = None
            value = region.value
            if region.last_tensor is not tensor or value is None or value.shape != tensor.shape:
                value = self._value_of(tensor, region)
            values.append(value)
        return tuple(values), params

    def _read_shared(self, tensor: Tensor, regions: list[_Region]) -> int:
        """The learned scalars of the unread parameters in a shared storage that `tensor` overlaps."""
        params = 0
        start, stop = _byte_range(tensor)
        for region in regions:
            if region.param is not None and region.start < stop and start < region.stop:
                params += region.param.numel()
                region.param = None
        return params

    def invalidate(self, tensor: Tensor) -> None:
        """Forget the value of `tensor` after a change in place of its shape or strides."""
        self._region_of(tensor).value = None

    def write(self, tensors: tuple[Tensor, ...]) -> tuple[Value, ...]:
        """Return the values of an operator's outputs. Activations among them get new numbers."""
        values = []
        for tensor in tensors:
            region = self._region_of(tensor, "activation")
            if region.role == "activation":
                region.number = -1
            values.append(self._value_of(tensor, region))
        return tuple(values)

    def to_meta(self, tensor: Tensor) -> Tensor:
        """Return a meta tensor with the layout of `tensor`, counted as the same memory."""
        if tensor.is_meta:
            return tensor
        region, storage = self._region_of(tensor), tensor.untyped_storage()
        key = storage._cdata, tensor.dtype  # noqa: SLF001 (as above)
        with torch.inference_mode(mode=tensor.is_inference()):  # a view needs the same mode as its base
            if key not in self._meta_copies:
                elements = storage.nbytes() // tensor.itemsize
                copy = torch.empty(elements, dtype=tensor.dtype, device="meta")
                self._meta_copies[key] = copy
                self._regions[copy.untyped_storage()._cdata] = region  # noqa: SLF001 (as above)
                if key[0] in self._shared:
                    self._shared[copy.untyped_storage()._cdata] = self._shared[key[0]]  # noqa: SLF001 (as above)
            return self._meta_copies[key].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _region_of(self, tensor: Tensor, role: Role = "buffer") -> _Region:
        """The region that `tensor` views.

        Unknown memory is added with `role`: a tensor that is no input, parameter or output is a constant.
        """
        key = tensor.untyped_storage()._cdata  # noqa: SLF001 (as above)
        if key in self._shared:
            regions, (start, _) = self._shared[key], _byte_range(tensor)
            return next((r for r in regions if r.start <= start < r.stop), regions[0])
        return self._regions.get(key) or self._add_region(tensor, key, role)

    def _add_region(self, tensor: Tensor, key: int, role: Role) -> _Region:
        region = self._regions[key] = _Region(role, tensor)
        return region

    def _value_of(self, tensor: Tensor, region: _Region) -> Value:
        """The value of `tensor`, a view of `region`; cached until another tensor views that region."""
        if region.number < 0:
            region.number = self._next_number[region.role]
            self._next_number[region.role] += 1
        shape, dtype = tuple(tensor.shape), tensor.dtype
        offset = int(tensor.storage_offset()) - region.start // dtype.itemsize
        strides = None if tensor.is_contiguous() else canonical_strides(shape, tensor.stride())
        size = None if dtype.is_floating_point else dtype.itemsize
        region.last_tensor = tensor
        region.value = value = Value(
            region.role, region.number, shape, offset, strides, size, dtype.is_complex
        )
        return value


def _byte_range(tensor: Tensor) -> tuple[int, int]:
    """The first byte of `tensor` in its storage, and one past the last."""
    start, elements = int(tensor.storage_offset()) * tensor.itemsize, tensor.numel()
    if elements and not tensor.is_contiguous():
        elements = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + int(elements) * tensor.itemsize
