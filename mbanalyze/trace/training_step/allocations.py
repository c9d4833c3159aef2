"""`Allocations`, the dispatch mode that follows each storage from its first operator to its release.

It adds up all memory of a step, by content. `mbanalyze.trace.lifetimes` notes activations alone, step by step.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from mbanalyze.trace.forward_errors import TraceError
from mbanalyze.trace.schema import flat_tensors
from mbanalyze.trace.surroundings.devices import CPU
from mbanalyze.trace.torch_internals import DispatchMode, FakeTensor, address, no_dispatch
from mbanalyze.trace.training_step.backward_work import BackwardWork
from mbanalyze.trace.training_step.measured import MemoryPeak, MemorySplit, Phase
from mbanalyze.trace.training_step.stand_ins import StandIns

_CREATED: dict[Phase, str] = {"forward": "activations", "backward": "temporaries", "optimizer": "temporaries"}
"""Phase of a step -> the content of what its operators create."""


_MADE_FROM_VALUES = torch.ops.aten.lift_fresh.default
"""The operator by which `torch.tensor` returns a constant, whose element type stays."""


class _Held:
    """A storage that is in memory: its size and content."""

    __slots__ = ("content", "reference", "size")

    def __init__(self, size: int, content: str) -> None:
        self.size = size
        self.content = content
        self.reference: Any = None


class Allocations(DispatchMode):
    """Adds up the storages in memory after each operator.

    A storage counts from the operator that returns it to its release, which a weak reference tells.

    Attributes:
        phase: the phase that runs.
        peak: the most memory after an operator.
        backward: the work of the backward pass.
    """

    def __init__(self, stand_ins: StandIns) -> None:
        """Take the stand-ins of the tensors that a forward holds."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._stand_ins = stand_ins
        self._live = dict.fromkeys(MemorySplit._fields, 0)
        self._held: dict[int, _Held] = {}
        self.restart()

    def restart(self, kept: Iterable[str] = ()) -> None:
        """Forget the peak, the backward pass, and what an earlier step left in memory, but for the contents `kept`.

        A checkpoint leaves circles of references, which the garbage collector releases at any time.
        """
        for key in [key for key, held in self._held.items() if held.content not in kept]:
            self._drop(key)
        self.phase: Phase = "forward"
        self.backward = BackwardWork()
        self.peak = MemoryPeak(0, MemorySplit(), "forward")
        self._note_peak()

    def content(self, tensor: Tensor) -> str | None:
        """Return the content of the storage of a tensor; None if it is unknown."""
        held = self._held.get(address(tensor.untyped_storage()))
        return held.content if held else None

    def bytes_of(self, content: str) -> int:
        """Return the bytes in memory that are a content."""
        return self._live[content]

    def hold(self, tensors: Iterable[Tensor], content: str) -> None:
        """Count the storages of tensors as `content`, those that are in memory already included."""
        for tensor in tensors:
            held = self._held_by(tensor, content)
            if held.content != content:
                self._live[held.content] -= held.size
                self._live[content] += held.size
                held.content = content
        self._note_peak()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if types and any(map(_runs_operators, types)):
            return NotImplemented  # the class runs operators, which come here in turn
        kwargs = kwargs or {}
        if func.namespace == "prim":  # a question for the device
            return func(*args, **kwargs)
        tensors = flat_tensors((*args, *kwargs.values()))
        if func is not _MADE_FROM_VALUES and any(type(tensor) is not FakeTensor for tensor in tensors):
            # one that a module or closure holds
            args, kwargs = self._stand_ins.of_all((args, kwargs))
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": CPU}  # all tensors are on the CPU, whatever the forward names
        result = func(*args, **kwargs)
        if not tensors and isinstance(result, FakeTensor) and result.numel() == 1:
            result = _with_value(result, func, args, kwargs)
        for tensor in flat_tensors((result,)):
            self._held_by(tensor, _CREATED[self.phase])
        self._note_peak()
        if self.phase == "backward":
            self.backward.add(func, args, kwargs, result)
        return result

    def _held_by(self, tensor: Tensor, content: str) -> _Held:
        """The storage of a tensor, which is added as `content` if it is not in memory yet."""
        if tensor.layout is not torch.strided:
            layout = str(tensor.layout).removeprefix("torch.")
            raise TraceError(f"a tensor of a step is {layout}: only dense tensors are counted (sparse=False)")
        storage = tensor.untyped_storage()
        key = address(storage)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(storage.nbytes(), content)
            held.reference = weakref.ref(storage, functools.partial(self._drop, key))
            self._live[content] += held.size
        return held

    def _drop(self, key: int, reference: object = None) -> None:
        """Count a storage no longer, which has been released if there is a reference to it."""
        held = self._held.get(key)
        if held and (reference is None or held.reference is reference):
            del self._held[key]
            self._live[held.content] -= held.size

    def _note_peak(self) -> None:
        total = sum(self._live.values())
        if total > self.peak.bytes:
            self.peak = MemoryPeak(total, MemorySplit(**self._live), self.phase)


def _with_value(number: FakeTensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> FakeTensor:
    """A number that an operator makes of nothing, with its value: a random draw may decide whether a layer runs."""
    with no_dispatch():
        value = func(*args, **kwargs)
    mode = number.fake_mode
    return mode.fake_tensor_converter.from_real_tensor(mode, value, make_constant=True)


@functools.cache
def _runs_operators(kind: type[Tensor]) -> bool:
    """True for a class of tensors that runs operators itself, such as a nested tensor."""
    return kind is not FakeTensor and kind.__torch_dispatch__ is not Tensor.__torch_dispatch__
