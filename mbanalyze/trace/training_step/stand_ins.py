"""Tensors without data that stand for parameters, buffers and inputs."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.utils.weak import WeakIdKeyDictionary

from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.region import key_of
from mbanalyze.trace.surroundings.devices import CPU
from mbanalyze.trace.torch_internals import (
    BUFFERS,
    PARAMETERS,
    FakeTensor,
    FakeTensorMode,
    tree_map_only,
    unset_fake_temporarily,
)

_PLAIN = frozenset({Tensor, nn.Parameter})


class StandIns:
    """Gives each tensor a stand-in on the CPU, with the same layout. Shared memory stays shared.

    Attributes:
        mode: PyTorch's mode for tensors without data, which chooses the operators of a CPU.
        dtype: the element type of floating-point tensors; None to keep theirs.
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        self.mode = FakeTensorMode()
        self.dtype = dtype
        self._stand_ins: MutableMapping[Tensor, Tensor] = WeakIdKeyDictionary()
        self._storages: MutableMapping[int, torch.UntypedStorage] = WeakValueDictionary()

    def of(self, tensor: Tensor) -> Tensor:
        """Return the stand-in of a tensor, and a stand-in itself. A single number keeps its value."""
        if type(tensor) is FakeTensor:
            return tensor
        if tensor not in self._stand_ins:
            with unset_fake_temporarily():
                self._stand_ins[tensor] = self._made(tensor)
        return self._stand_ins[tensor]

    def of_all(self, arguments: Any) -> Any:
        """Return nested containers with stand-ins."""
        return tree_map_only(Tensor, self.of, arguments)

    def release_buffers(self) -> None:
        """Hold the stand-ins of parameters only, because a forward may replace a buffer."""
        for tensor in list(self._stand_ins):
            if not isinstance(tensor, nn.Parameter):
                del self._stand_ins[tensor]

    def replace(self, modules: Iterable[nn.Module]) -> tuple[list[nn.Parameter], list[Tensor]]:
        """Let modules hold stand-ins, and return those of the parameters and of the buffers."""
        params: dict[int, Any] = {}
        buffers: dict[int, Tensor] = {}
        for module in modules:
            if isinstance(module, ScriptModule):
                raise TraceError("TorchScript holds its parameters itself: give the module that was scripted")
            state = vars(module)
            for found, name in (params, PARAMETERS), (buffers, BUFFERS):
                held = {key: value if value is None else self.of(value) for key, value in state[name].items()}
                found.update((id(tensor), tensor) for tensor in held.values() if tensor is not None)
                state[name] = held
        for module in modules:
            self._replace_references(vars(module))
        return list(params.values()), list(buffers.values())

    def _replace_references(self, state: dict[str, Any]) -> None:
        """Replace parameters that a module also holds as attributes or in lists, as recurrent layers do."""
        for name, value in state.items():
            if isinstance(value, nn.Parameter):
                state[name] = self.of(value)
            elif type(value) in (list, tuple) and any(isinstance(each, nn.Parameter) for each in value):
                state[name] = self.of_all(value)

    def _made(self, tensor: Tensor) -> Tensor:
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(self._without_data(tensor), requires_grad=tensor.requires_grad)
        if tensor.numel() == 1 and not tensor.is_meta:
            made = self._with_value(tensor)
        else:
            made = self._without_data(tensor)
        return made.requires_grad_(tensor.requires_grad)

    def _with_value(self, number: Tensor) -> Tensor:
        """A stand-in with a copy of the value, which the forward may ask for or overwrite."""
        copy = number.detach().clone().to(CPU, self._dtype_of(number))
        return self.mode.fake_tensor_converter.from_real_tensor(self.mode, copy, make_constant=True)

    def _without_data(self, tensor: Tensor) -> Tensor:
        if type(tensor) not in _PLAIN or tensor.layout is not torch.strided or tensor.is_quantized:
            return self.mode.from_tensor(tensor)
        key, dtype = key_of(tensor), self._dtype_of(tensor)
        storage = self._storages.get(key)
        if storage is None:
            elements = tensor.untyped_storage().nbytes() // tensor.itemsize
            storage = torch.UntypedStorage(elements * dtype.itemsize, device="meta")  # type: ignore[no-untyped-call]
            self._storages[key] = storage
        layout = tensor.storage_offset(), tensor.shape, tensor.stride()
        meta = torch.empty(0, dtype=dtype, device="meta").set_(storage, *layout)
        return FakeTensor(self.mode, meta, CPU)

    def _dtype_of(self, tensor: Tensor) -> torch.dtype:
        return self.dtype if self.dtype and tensor.is_floating_point() else tensor.dtype
