"""The number and role of each tensor of a trace. Tensors are identified by the memory that they view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.record import Role, Value, strides_between
from mbanalyze.trace.lifetimes import Lifetimes
from mbanalyze.trace.param_memory import ParamMemory, byte_range
from mbanalyze.trace.region import Allocated, Held, Region, computed, key_of, read_param, storage_of, stored
from mbanalyze.trace.schema import Tensors
from mbanalyze.trace.torch_internals import PARAMETERS, address

_PLAIN = frozenset({Tensor, nn.Parameter})

_MAX_TWIN = 2**23
"""The most bytes of a storage that is copied for its twin."""


Whole = tuple[Region, Tensor, Sizes, torch.dtype]
"""The memory of a tensor, the tensor, its shape, and the type of its elements: contiguous floating-point numbers."""


class Storages:
    """The memory of every tensor of one trace.

    A view has the number of the tensor that it views. Writing to an activation gives it a new number.

    Attributes:
        inputs: how many tensors of each role are inputs; these have the first numbers.
        frozen: the numbers of the weights that require no gradient.
        lifetimes: the storages that operators allocated.
    """

    def __init__(
        self, params: Mapping[str, nn.Parameter], modules: Mapping[str, nn.Module] = MappingProxyType({})
    ) -> None:
        """Take the parameters of a model by name, and its modules by path.

        Raises:
            InterleavedError: two different parameters have elements in common.
        """
        self._params = params
        self._modules = modules
        self._next_number: dict[Role, int] = {"activation": 0, "weight": 0, "buffer": 0}
        self.inputs = self._next_number.copy()
        self.frozen: set[int] = set()
        self._regions: dict[int, Region] = {}
        self._shared: dict[int, ParamMemory[Region]] = {}  # storages that hold several parameters
        self._meta_copies: dict[int, dict[torch.dtype, Tensor]] = {}  # by the address of the storage
        self._twins: dict[int, torch.UntypedStorage] = {}
        self.lifetimes = Lifetimes(self._regions, self._meta_copies)
        self._unknown: list[Tensor] = []
        several: dict[int, list[tuple[nn.Parameter, Region]]] = {}
        for param in params.values():
            storage = storage_of(param)
            key = address(storage)
            region = Held("weight", key, storage, param)
            if param.layout is torch.strided and param.storage_offset():
                region.start = byte_range(param)[0]
            first = self._regions.setdefault(key, region)
            if first is not region and first.param is not None:
                several.setdefault(key, [(first.param, first)]).append((param, region))
        for key, params_there in several.items():
            self._shared[key] = ParamMemory(params_there, params)

    def unread_params(self) -> tuple[str, ...]:
        """Return the names of the parameters that no operator has read."""
        shared = [region for memory in self._shared.values() for region in memory.owners]
        left = [r.param for r in (*self._regions.values(), *shared) if r.param is not None]
        unread = set(map(id, left))
        return tuple(name for name, param in self._params.items() if id(param) in unread) if unread else ()

    def add_input(self, tensor: Tensor) -> None:
        """Add an input of the model: an activation, unless it views a parameter."""
        if key_of(tensor) not in self._regions:
            self.lifetimes.add_input(tuple(tensor.shape), storage_of(tensor).nbytes())
        self._describe(stored(tensor), self._region_of(tensor, "activation"))
        self.inputs = self._next_number.copy()

    def add_made(self, tensors: Tensors, *, of: Tensors = ()) -> bool:
        """Add tensors that an operator allocated without any work, and return True if there are any.

        Views of the tensors `of` are none. The others are numbered when they are read.
        """
        viewed, any_made = set(map(key_of, of)), False
        for tensor in tensors:
            storage = storage_of(tensor)
            key = address(storage)
            if key not in self._regions and key not in viewed:
                self.lifetimes.begin(storage, key, tuple(tensor.shape)).role = "buffer"
                any_made = True
        return any_made

    def note_sizes(self, tensors: Tensors) -> bool:
        """Note that an operator may have given `tensors` more memory, and return True if it has."""
        any_resized = False
        for tensor in tensors:
            region, size = self._regions.get(key_of(tensor)), storage_of(tensor).nbytes()
            if isinstance(region, Allocated) and region.size != size:
                self.lifetimes.resize(region, size, tuple(tensor.shape))
                any_resized = True
        return any_resized

    def is_temporary(self, tensor: Tensor) -> bool:
        """Return True if an operator allocated `tensor`, in the trial that runs, if any."""
        region = self._regions.get(key_of(tensor))
        return isinstance(region, Allocated) and region.birth >= self.lifetimes.trial

    def knows(self, tensor: Tensor) -> bool:
        """Return True if `tensor` belongs to this trace: an operator has read, written or made it."""
        return key_of(tensor) in self._regions

    def unknown(self, returned: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """Return the tensors that an operator read, or the forward returned, and no recorded operator computed."""
        results = (tensor for tensor in returned if not self.knows(tensor) and computed(tensor))
        return (*self._unknown, *results)

    def known(self, tensor: Tensor) -> Value | None:
        """Return the value of an activation, or of a view of one; None for any other tensor."""
        try:
            region = self._regions.get(address(tensor.untyped_storage()))
        except RuntimeError:  # sparse and nested tensors have no storage
            return None
        if region is None or tensor.is_nested or region.role != "activation" or region.number < 0:
            return None
        return region.value if region.describes(tensor) else self._describe(tensor, region)

    def lacks_values(self, tensor: Tensor) -> bool:
        """Return True if `tensor` has no data, or data that must not be used, such as that of a weight."""
        return tensor.is_meta or self._region_of(tensor).lacks_values

    def discard_values(self, tensor: Tensor) -> None:
        """Note that `tensor` was overwritten by a tensor without data."""
        self._region_of(tensor).lacks_values = True

    def is_view(self, tensor: Tensor, of: tuple[Tensor, ...]) -> bool:
        """Return True if `tensor` views one of `of`, which are added as constants if they are unknown."""
        viewed = [self._region_of(other) for other in of]
        region = self._region_of(tensor) if key_of(tensor) in self._regions else None
        return any(region is other for other in viewed)

    @staticmethod
    def share_storage(a: Tensor, b: Tensor) -> bool:
        """Return True if both tensors view the same storage."""
        return key_of(a) == key_of(b)

    def read(self, tensors: tuple[Tensor, ...]) -> tuple[tuple[Value, ...], int, int]:
        """Return the values of an operator's operands.

        Then come the number of learned scalars that the operator is the first to read, and of those frozen.
        """
        values, params, frozen, regions = [], 0, 0, self._regions
        for tensor in tensors:
            try:
                key = address(tensor.untyped_storage())
            except RuntimeError:  # sparse and nested tensors have no storage
                tensor = stored(tensor)  # noqa: PLW2901 (it stands for the operand from here on)
                key = key_of(tensor)
            region = regions.get(key) or self._found(tensor, key)
            if region.describes(tensor):
                values.append(region.value)
            else:
                if region.role != "weight" and type(tensor) is nn.Parameter:
                    self._note_replacement(tensor, region)
                owners = [region]
                if self._shared and key in self._shared:
                    region, owners = self._region_of(tensor), self._shared[key].read(tensor)
                before = frozen
                for owner in owners:
                    if owner.param is not None:
                        size, fixed = read_param(owner)
                        params, frozen = params + size, frozen + fixed
                values.append(self._describe(tensor, region))
                if frozen > before:
                    self.frozen.add(region.number)
        return tuple(values), params, frozen

    def whole(self, tensor: Tensor) -> Whole | None:
        """Return a parameter or constant in the usual layout, for `read_whole`; None for any other tensor."""
        if type(tensor) not in _PLAIN or self._shared:
            return None
        try:
            storage, shape, dtype = tensor.untyped_storage(), tuple(tensor.shape), tensor.dtype
        except RuntimeError:  # sparse and nested tensors have no storage or no shape
            return None
        if not dtype.is_floating_point or tensor.storage_offset() or not tensor.is_contiguous():
            return None
        region = self._regions.get(address(storage))
        if region is None:
            if computed(tensor):
                return None
            region = Held("buffer", address(storage), storage)
        elif region.role != "weight" and type(tensor) is nn.Parameter:
            return None
        return region, tensor, shape, dtype

    def read_whole(self, operands: Iterable[Whole]) -> tuple[list[Value], int, int]:
        """Return the same as `read` for operands in the usual layout."""
        values, params, frozen = [], 0, 0
        for region, tensor, shape, _ in operands:
            if not region.describes(tensor):
                region = self._regions.setdefault(region.key, region)  # noqa: PLW2901 (it may be known already)
                if region.number < 0:
                    region.number = self._next_number[region.role]
                    self._next_number[region.role] += 1
                if region.param is not None:
                    size, fixed = read_param(region)
                    params, frozen = params + size, frozen + fixed
                    if fixed:
                        self.frozen.add(region.number)
                region.set_value(tensor, Value(region.role, region.number, shape))
            values.append(region.value)
        return values, params, frozen

    def _found(self, tensor: Tensor, key: int) -> Region:
        """The region of a tensor that no operator of the trace has made: a constant of the model."""
        if computed(tensor):
            self._unknown.append(tensor)
        return self._add_region(tensor, key, "buffer")

    def _note_replacement(self, tensor: nn.Parameter, region: Region) -> None:
        """Make `region` a weight if a module holds `tensor` in place of its parameter, as a gathered shard."""
        for name, param in self._params.items():
            path, _, own = name.rpartition(".")
            held = vars(self._modules[path]).get(PARAMETERS) if path in self._modules else None
            if isinstance(held, dict) and held.get(own) is tensor and param is not tensor:
                region.role, region.number = "weight", -1
                region.forget_value()
                original = self._region_of(param)
                region.param, original.param = original.param, None

    def invalidate(self, tensor: Tensor) -> None:
        """Forget the value of `tensor`, whose shape or strides change in place."""
        if region := self._regions.get(key_of(tensor)):
            region.forget_value()

    def write(
        self, tensors: tuple[Tensor, ...], *, in_place: bool = False
    ) -> tuple[tuple[Value, ...], tuple[int | None, ...]]:
        """Return the values of an operator's outputs, and what they overwrite, as in `Op`.

        Activations among the outputs get new numbers. With `in_place`, the outputs were given to the operator.
        """
        values, before = [], []
        for tensor in tensors:
            storage = storage_of(tensor)
            key = address(storage)
            region = self._regions.get(key)
            overwritten = None
            if region is None:
                if in_place:
                    region = self._add_region(tensor, key, "activation")
                else:
                    region = self.lifetimes.begin(storage, key, tuple(tensor.shape))
            elif self._shared:
                region = self._region_of(tensor)
            if region.number < 0 and isinstance(region, Allocated):
                region.role = "activation"  # it was allocated, and not read
            if region.role == "activation":
                overwritten = region.number if region.number >= 0 else None
                region.number = -1
            before.append(overwritten)
            values.append(
                self._describe(tensor if tensor.layout is torch.strided else stored(tensor), region)
            )
        return tuple(values), tuple(before) if before.count(None) < len(before) else ()

    def written(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        """Return the numbers of the activations among `tensors`, and of those that they view."""
        regions = [self._regions.get(key_of(tensor)) for tensor in tensors]
        numbers = [r.number for r in regions if r and r.role == "activation" and r.number >= 0]
        return tuple(dict.fromkeys(numbers))

    def write_new(self, tensor: Tensor, shape: tuple[int, ...]) -> Value:
        """Return the value of an output with a storage of its own: contiguous floating-point numbers."""
        storage = tensor.untyped_storage()
        key = address(storage)
        region = self.lifetimes.begin(storage, key, shape)
        number = region.number = self._next_number["activation"]
        self._next_number["activation"] = number + 1
        region.dtype, region.value = tensor.dtype, Value("activation", number, shape)
        return region.value

    def overwrite(self, tensor: Tensor, value: Value) -> Value:
        """Return the value of an activation that had `value` before an operator wrote to it."""
        region = self._regions[key_of(tensor)]
        region.number = self._next_number["activation"]
        self._next_number["activation"] += 1
        if value is not region.value:
            region.forget_value()
        region.value = Value("activation", region.number, *value[2:])
        return region.value

    def to_meta(self, tensor: Tensor) -> Tensor:
        """Return a meta tensor with the layout of `tensor`, counted as the same memory."""
        if tensor.is_meta or tensor.layout is not torch.strided:
            return tensor
        region, storage = self._region_of(tensor), tensor.untyped_storage()
        key = address(storage)
        copies = self._meta_copies.setdefault(key, {})
        with torch.inference_mode(mode=tensor.is_inference()):  # a view needs the same mode as its base
            if tensor.dtype not in copies:
                elements = storage.nbytes() // tensor.itemsize
                copy = torch.empty(elements, dtype=tensor.dtype, device="meta")
                self._add_copy(copy.untyped_storage(), key, region)
                copies[tensor.dtype] = copy
            return copies[tensor.dtype].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _add_copy(self, copy: torch.UntypedStorage, of: int, region: Region) -> None:
        """Count a storage as the memory of the one at the address `of`, which has `region`."""
        key = address(copy)
        self._regions[key] = region
        if isinstance(region, Allocated):
            self.lifetimes.follow(copy, region)
        if of in self._shared:
            self._shared[key] = self._shared[of]

    def checkpoint(self) -> tuple[list[tuple[Any, ...]], dict[Role, int], tuple[int, int, int]]:
        """Return the state of all regions, for `roll_back`."""
        shared = [region for memory in self._shared.values() for region in memory.owners]
        regions = {id(region): region for region in (*self._regions.values(), *shared)}.values()
        states = [(r, r.number, r.param, r.lacks_values) for r in regions]
        return states, self._next_number.copy(), self.lifetimes.checkpoint()

    def roll_back(
        self, checkpoint: tuple[list[tuple[Any, ...]], dict[Role, int], tuple[int, int, int]]
    ) -> None:
        """Return all regions to an earlier state."""
        states, self._next_number, lifetimes = checkpoint
        self.lifetimes.roll_back(lifetimes)
        for region, *state in states:
            region.number, region.param, region.lacks_values = state
            region.forget_value()

    def twin(self, tensor: Tensor) -> Tensor:
        """Return a tensor with the values of `tensor` in memory of its own, counted as the same memory."""
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_nested:
            return tensor.detach()
        storage = tensor.untyped_storage()
        if storage.nbytes() > _MAX_TWIN:
            return tensor.detach()
        key = address(storage)
        if key not in self._twins:
            self._twins[key] = storage.clone()  # type: ignore[no-untyped-call]
            self._regions[address(self._twins[key])] = self._region_of(tensor)
        layout = tensor.storage_offset(), tensor.size(), tensor.stride()
        return torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(self._twins[key], *layout)

    def _region_of(self, tensor: Tensor, role: Role = "buffer") -> Region:
        """The region that `tensor` views.

        Unknown memory is added with `role`: a tensor that is no input, parameter or output is a constant.
        """
        key = key_of(tensor)
        if key in self._shared:
            return self._shared[key].owner(stored(tensor))
        region = self._regions.get(key)
        if region is not None:
            return region
        return self._found(tensor, key) if role == "buffer" else self._add_region(tensor, key, role)

    def _add_region(self, tensor: Tensor, key: int, role: Role) -> Region:
        region = self._regions[key] = Held(role, key, storage_of(tensor))
        return region

    def _describe(self, tensor: Tensor, region: Region) -> Value:
        """Return the value of `tensor`, a strided view of `region`, and keep it until another one is read."""
        number, dtype, shape = region.number, tensor.dtype, tuple(tensor.shape)
        offset = int(tensor.storage_offset())
        if number < 0:
            number = region.number = self._next_number[region.role]
            self._next_number[region.role] += 1
        if isinstance(region, Held) and region.start:
            offset -= region.start // dtype.itemsize
        strides = None if tensor.is_contiguous() else strides_between(shape, tensor.stride())
        size = None if dtype.is_floating_point else dtype.itemsize
        value = Value(region.role, number, shape, offset, strides, size, dtype.is_complex)
        region.set_value(tensor, value)
        may_change = region.role != "weight" and type(tensor) is nn.Parameter  # a module may take it later
        if may_change or region.param is not None:
            region.forget_value()
        return value
