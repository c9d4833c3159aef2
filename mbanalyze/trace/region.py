"""The memory that is counted as one tensor, and the address that identifies it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mbanalyze.ops.record import Role, Value

_NO_VALUE = Value("activation", -1, ())


class Region:
    """Memory that is counted as one tensor: an activation, a stored constant or a parameter.

    Attributes:
        role: the role of the tensor.
        number: the number within its role, or -1 before its first use.
        param: the parameter stored here, or None once an operator has read it.
        start: the first byte of a parameter that is only a part of its storage, else 0.
        lacks_values: True if the elements must not be used. These are weights, and tensors that the forward
            has overwritten by one without data.
        storage: the storage, kept alive so that its address stays unique.
        last_tensor: the tensor that `value` describes; None if its value has to be computed.
        implementation: the address of what is inside of `last_tensor`, which another tensor may be given.
        value: the value of `last_tensor`.
    """

    __slots__ = (
        *("implementation", "lacks_values", "last_tensor", "number"),
        *("param", "role", "start", "storage", "value"),
    )

    def __init__(self, role: Role, storage: torch.UntypedStorage, param: nn.Parameter | None = None) -> None:
        self.storage = storage
        self.role = role
        self.number = -1
        self.param = param
        self.start = 0
        self.lacks_values = param is not None
        self.last_tensor: Tensor | None = None
        self.implementation = 0
        self.value = _NO_VALUE

    def describes(self, tensor: Tensor) -> bool:
        """Return True if `value` is the value of `tensor`."""
        return self.last_tensor is tensor and self.implementation == tensor._cdata  # noqa: SLF001 (no public access)

    def set_value(self, tensor: Tensor, value: Value) -> None:
        """Set the value of `tensor`."""
        self.last_tensor, self.implementation, self.value = tensor, tensor._cdata, value  # noqa: SLF001 (as above)

    def read_param(self) -> tuple[int, int]:
        """Note that the parameter is read; return its learned scalars, and those of them that are frozen."""
        param, self.param = self.param, None
        size = param.numel() if param is not None else 0
        return size, 0 if param is None or param.requires_grad else size


def stored(tensor: Tensor) -> Tensor:
    """Return the tensor that holds the elements of `tensor`: the values of a sparse or nested one, else itself."""
    if tensor.layout is torch.sparse_coo:
        return tensor._values()  # noqa: SLF001 (`values` needs it coalesced)
    if tensor.layout is not torch.strided or tensor.is_nested:
        return tensor.values()
    return tensor


def storage_of(tensor: Tensor) -> torch.UntypedStorage:
    """Return the storage of a tensor, or of the tensor that holds its elements."""
    try:
        return tensor.untyped_storage()
    except RuntimeError:  # sparse and nested tensors have none
        return stored(tensor).untyped_storage()


def key_of(tensor: Tensor) -> int:
    """Return the address of the storage of a tensor, which identifies its memory."""
    try:
        return tensor.untyped_storage()._cdata  # type: ignore[no-any-return]  # noqa: SLF001 (the only address of a meta tensor)
    except RuntimeError:  # sparse and nested tensors have none
        return storage_of(tensor)._cdata  # type: ignore[no-any-return]  # noqa: SLF001 (as above)


def computed(tensor: Tensor) -> bool:
    """Return True if `tensor` comes from outside of the thread of a trace.

    It has no data, although its thread was not in inference mode, or it has a gradient function.
    """
    return tensor.grad_fn is not None or (tensor.is_meta and not tensor.is_inference())
