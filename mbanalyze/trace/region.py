"""The memory that is counted as one tensor, and the address that identifies it."""

from __future__ import annotations

from typing import TypeAlias
from weakref import ref

import torch
from torch import Tensor, UntypedStorage, nn

from mbanalyze.ops.record import Role, Value
from mbanalyze.trace.torch_internals import address, sparse_values

NO_VALUE = Value("activation", -1, ())


class Held:
    """Memory that no operator of the forward allocated.

    Attributes:
        key: the address of the storage.
        role: the role of the tensor.
        number: the number within its role, or -1 before its first use.
        param: the parameter stored here, or None once an operator has read it.
        start: the first byte of a parameter that is only a part of its storage, else 0.
        lacks_values: True if the elements must not be used. These are weights, and tensors that the forward
            has overwritten by one without data.
        value: the value of the last tensor that was read or written.
        storage: the storage, kept alive so that its address stays unique.
        last_tensor: the tensor that `value` describes; None if its value has to be computed.
        implementation: the address of what is inside of `last_tensor`, which another tensor may be given.
    """

    __slots__ = (
        *("implementation", "key", "lacks_values", "last_tensor", "number"),
        *("param", "role", "start", "storage", "value"),
    )

    def __init__(
        self, role: Role, key: int, storage: UntypedStorage, param: nn.Parameter | None = None
    ) -> None:
        self.role, self.key, self.storage = role, key, storage
        self.number = -1
        self.param = param
        self.start = 0
        self.lacks_values = param is not None
        self.value = NO_VALUE
        self.last_tensor: Tensor | None = None
        self.implementation = 0

    def describes(self, tensor: Tensor) -> bool:
        """Return True if `value` is the value of `tensor`."""
        return self.last_tensor is tensor and self.implementation == address(tensor)

    def set_value(self, tensor: Tensor, value: Value) -> None:
        """Set the value of `tensor`."""
        self.last_tensor, self.implementation, self.value = tensor, address(tensor), value

    def forget_value(self) -> None:
        """Let the value of the next tensor be computed."""
        self.last_tensor = None


class Allocated(ref[UntypedStorage]):
    """Memory that an operator of the forward allocated: a weak reference to its storage.

    It keeps no tensor, because a tensor keeps the storage alive. The attributes are set by `Lifetimes`, because a
    constructor takes longer.

    Attributes (the others are those of `Held`):
        birth: the number of its lifetime.
        size: the bytes of the storage.
        dtype: the type of the elements, if `value` is contiguous and fills the storage. All contiguous tensors of
            this type and shape have that value. None if the value has to be computed.
    """

    __slots__ = (*("birth", "dtype", "key", "lacks_values", "number", "param", "role", "size", "value"),)

    key: int
    role: Role
    number: int
    param: nn.Parameter | None
    lacks_values: bool
    value: Value
    birth: int
    size: int
    dtype: torch.dtype | None

    def describes(self, tensor: Tensor) -> bool:
        """Return True if `value` is the value of `tensor`."""
        return (
            tensor.dtype is self.dtype
            and tensor.shape == self.value.shape
            and tensor.is_contiguous()
            and type(tensor) is not nn.Parameter  # a module may hold it in place of its own
        )

    def set_value(self, tensor: Tensor, value: Value) -> None:
        """Set the value of `tensor`, unless that is a view and the value of the whole is known."""
        if value.strides is None and tensor.numel() * tensor.itemsize == self.size:
            self.value, self.dtype = value, tensor.dtype
        elif value.number != self.value.number:
            self.value, self.dtype = value, None

    def forget_value(self) -> None:
        """Let the value of the next tensor be computed."""
        self.dtype = None


Region: TypeAlias = Held | Allocated
"""Memory that is counted as one tensor: an activation, a stored constant or a parameter."""


def read_param(region: Region) -> tuple[int, int]:
    """Note that a parameter is read; return its learned scalars, and those of them that are frozen."""
    param, region.param = region.param, None
    size = param.numel() if param is not None else 0
    return size, 0 if param is None or param.requires_grad else size


def stored(tensor: Tensor) -> Tensor:
    """Return the tensor that holds the elements of `tensor`: the values of a sparse or nested one, else itself."""
    if tensor.layout is torch.sparse_coo:
        return sparse_values(tensor)  # `values` needs it coalesced
    if tensor.layout is not torch.strided or tensor.is_nested:
        return tensor.values()
    return tensor


def storage_of(tensor: Tensor) -> UntypedStorage:
    """Return the storage of a tensor, or of the tensor that holds its elements."""
    try:
        return tensor.untyped_storage()
    except RuntimeError:  # sparse and nested tensors have none
        return stored(tensor).untyped_storage()


def key_of(tensor: Tensor) -> int:
    """Return the address of the storage of a tensor, which identifies its memory."""
    try:
        return address(tensor.untyped_storage())  # type: ignore[no-any-return]
    except RuntimeError:  # sparse and nested tensors have none
        return address(storage_of(tensor))  # type: ignore[no-any-return]


def computed(tensor: Tensor) -> bool:
    """Return True if `tensor` comes from outside of the thread of a trace.

    It has no data, although its thread was not in inference mode, or it has a gradient function.
    """
    return tensor.grad_fn is not None or (tensor.is_meta and not tensor.is_inference())
