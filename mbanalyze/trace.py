"""A real module, operator by operator: it runs on tensors that hold no data, and every call is noted.

The forward runs in eval mode under `torch.inference_mode`, whatever mode the module arrives in, on meta
tensors; the module's own weights stay where they are and only lend their shapes. Afterwards the module
is as it was, also when its forward raises.
"""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from mbanalyze.cost import Op, Role, Value, is_shape
from mbanalyze.operators import ALLOCATIONS, RULES, Arguments, Sighting, arguments, tensors


class TraceError(ValueError):
    """The module's forward could not be run on tensors without data."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What one forward pass did.

    Attributes:
        ops: every operator, in order.
        free: what ran at no cost (views, allocation, dropout in eval mode), by name, with how often.
        unused_params: names of the parameters that the forward never read.
    """

    ops: tuple[Op, ...]
    free: dict[str, int]
    unused_params: tuple[str, ...]


def trace(model: nn.Module, *inputs: Any) -> Trace:
    """Run `model` on shapes and note every operator.

    Args:
        model: any module; weights may be on any device, `meta` included.
        inputs: tensors, or containers of tensors, whose shapes and dtypes are taken; see `as_inputs`.

    Raises:
        TraceError: the forward raised; the message names the innermost module that was running.
    """
    tape = _Tape(model)
    try:
        with undisturbed(model), tape.restoring():
            model.eval()
            tape.attribute(model)
            with torch.inference_mode():
                blank = tape.begin(inputs)
                with tape:
                    model(*blank)
    except Exception as error:
        raise TraceError(_why(model, tape.failed, error)) from error
    return Trace(tuple(tape.ops), dict(tape.free), tape.unused())


def floating_dtype(model: nn.Module) -> torch.dtype:
    """The dtype of the model's first floating-point parameter, or torch's default without one."""
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.get_default_dtype())


def as_inputs(model: nn.Module, given: Sequence[Any]) -> list[Any]:
    """`given` with each shape replaced by a tensor without data, in the model's floating dtype.

    Raises:
        TraceError: no tensor can be that large.
    """
    dtype = floating_dtype(model)
    try:
        return [torch.empty(x, dtype=dtype, device="meta") if is_shape(x) else x for x in given]
    except RuntimeError as error:
        raise TraceError(f"no such input: {str(error).splitlines()[0]}") from error


def _why(model: nn.Module, path: str | None, error: Exception) -> str:
    where = f"module {path!r}" if path else f"{type(model).__name__}.forward"
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = f"the forward raised {type(error).__name__} in {where}: {what}"
    if isinstance(error, NotImplementedError | RuntimeError) and "meta" in str(error).lower():
        text += " (it needs the values of a tensor, and a trace has only shapes)"
    return text


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """On leaving, `model`'s attributes and containers, and torch's and Python's random state, are as they were."""
    modules = [(module, dict(module.__dict__)) for module in model.modules()]
    containers = [
        (value, value.copy())
        for _, attributes in modules
        for value in attributes.values()
        if isinstance(value, dict | list | set)
    ]
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    python_state = random.getstate()
    try:
        with torch.random.fork_rng():
            # the fused path hides its operators, and only CPU tensors take it
            torch.backends.mha.set_fastpath_enabled(False)
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
        random.setstate(python_state)
        for module, attributes in modules:
            module.__dict__.clear()
            module.__dict__.update(attributes)
        for container, content in containers:
            container.clear()
            container.extend(content) if isinstance(container, list) else container.update(content)


@dataclass(slots=True)
class _Storage:
    """What is known of the memory behind a tensor."""

    role: Role
    number: int | None = None
    params: list[nn.Parameter] = field(default_factory=list)


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every ATen call while it is active, with the path of the module that made it.

    Tensors are told apart by their storage, so a view is known for what it looks into. Weights and
    buffers that meet a tensor without data are replaced by a twin without data; calls on real tensors
    alone run for real.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[Op] = []
        self.free: Counter[str] = Counter()
        self.failed: str | None = None
        self._raised: BaseException | None = None
        self._path = [""]
        self._params = dict(model.named_parameters())
        self._read: set[int] = set()
        self._numbers: Counter[Role] = Counter()
        self._storages: dict[int, _Storage] = {}
        self._twins: dict[int, Tensor] = {}
        self._kept: list[torch.UntypedStorage] = []  # alive, so that no address is used twice
        self._saved: list[tuple[Tensor, Tensor]] = []
        for param in self._params.values():
            self._know(param, "weight").params.append(param)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it would import torch's compiler, which takes a second

    def begin(self, inputs: tuple[Any, ...]) -> Any:
        """`inputs` without their data: the first activations."""
        blank = tree_map_only(Tensor, lambda t: torch.empty_like(t, device="meta"), inputs)
        for tensor in tensors(blank):
            self._number(self._know(tensor, "activation"))
        return blank

    def attribute(self, model: nn.Module) -> None:
        """Make each submodule say when its forward is running."""
        for path, module in model.named_modules():
            module.__dict__["forward"] = self._attributed(module.forward, path)

    def _attributed(self, forward: Callable[..., Any], path: str) -> Callable[..., Any]:
        @functools.wraps(forward)
        def attributed(*args: Any, **kwargs: Any) -> Any:
            self._path.append(path)
            try:
                return forward(*args, **kwargs)
            except Exception as error:
                if self._raised is not error:
                    self._raised, self.failed = error, path
                raise
            finally:
                self._path.pop()

        return attributed

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """On leaving, real tensors that the forward wrote to hold what they held."""
        try:
            yield
        finally:
            with torch.inference_mode():
                for tensor, before in reversed(self._saved):
                    tensor.copy_(before)

    def unused(self) -> tuple[str, ...]:
        """Names of the parameters not read so far."""
        return tuple(name for name, param in self._params.items() if id(param) not in self._read)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        schema = func._schema  # noqa: SLF001 (torch offers no other way to it)
        given = tensors((args, kwargs))
        if any(t.device.type == "meta" or self._storage(t).role == "weight" for t in given):
            blank_args, blank_kwargs = tree_map_only(Tensor, self._twin, (args, kwargs))
            result = func(*blank_args, **blank_kwargs)
        else:
            if schema.is_mutable:
                self._save(schema, arguments(schema, args, kwargs))
            result = func(*args, **kwargs)
        self._note(schema, arguments(schema, args, kwargs), given, tensors(result))
        return result

    def _save(self, schema: Any, call: Arguments) -> None:
        """Remember what a real tensor holds before it is written to."""
        for argument in schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                self._saved += [(t, t.clone()) for t in tensors(call.get(argument.name))]

    def _note(
        self, schema: Any, call: Arguments, given: tuple[Tensor, ...], made: tuple[Tensor, ...]
    ) -> None:
        name = schema.name.removeprefix("aten::")
        name = name.removesuffix("_") if schema.is_mutable else name
        known = {id(self._storage(t)) for t in given}
        is_view = not schema.is_mutable and all(id(self._storages.get(self._key(t))) in known for t in made)
        if not given or is_view or name in ALLOCATIONS:
            self.free[name] += 1
            for tensor in made:
                self._know(tensor, "activation")
            return
        rule = RULES.get(name)
        sighting = rule(call) if rule else None
        if sighting is None:
            sighting = Sighting(schema.name, given)
        params = self._first_read(sighting.operands)
        operands = tuple(self._value(t) for t in sighting.operands)
        for tensor in made:
            self._number(self._know(tensor, "activation"), afresh=True)
        output = tuple(self._value(t) for t in made)
        settings = tuple(sorted(sighting.attributes.items()))
        path, inplace = self._path[-1], schema.is_mutable
        self.ops.append(Op(path, sighting.kind, operands, output, params, settings, inplace))

    def _first_read(self, operands: tuple[Tensor, ...]) -> int:
        """The learned scalars among `operands` that nothing read before."""
        owned = 0
        for operand in operands:
            for param in self._storage(operand).params:
                if id(param) not in self._read:
                    self._read.add(id(param))
                    owned += param.numel()
        return owned

    def _key(self, tensor: Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)  # noqa: SLF001 (a meta tensor's only address)

    def _know(self, tensor: Tensor, role: Role) -> _Storage:
        """What is known of the tensor's storage, which plays `role` if it is met for the first time."""
        key = self._key(tensor)
        if key not in self._storages:
            self._kept.append(tensor.untyped_storage())
            self._storages[key] = _Storage(role)
        return self._storages[key]

    def _storage(self, tensor: Tensor) -> _Storage:
        return self._know(tensor, "buffer")  # neither input, parameter nor result: a stored constant

    def _number(self, storage: _Storage, afresh: bool = False) -> int:
        if storage.number is None or (afresh and storage.role == "activation"):
            storage.number = self._numbers[storage.role]
            self._numbers[storage.role] += 1
        return storage.number

    def _value(self, tensor: Tensor) -> Value:
        storage = self._storage(tensor)
        dtype = tensor.dtype
        return Value(
            storage.role,
            self._number(storage),
            tuple(tensor.shape),
            int(tensor.storage_offset()),
            _strides(tensor),
            None if dtype.is_floating_point else dtype.itemsize,
        )

    def _twin(self, tensor: Tensor) -> Tensor:
        """`tensor` without data, known as the same values."""
        if tensor.device.type == "meta":
            return tensor
        storage, key = self._storage(tensor), self._key(tensor)
        with torch.inference_mode(mode=tensor.is_inference()):  # views of it must be of the same sort
            if key not in self._twins:
                elements = tensor.untyped_storage().nbytes() // tensor.itemsize
                twin = torch.empty(elements, dtype=tensor.dtype, device="meta")
                self._twins[key] = twin
                self._kept.append(twin.untyped_storage())
                self._storages[self._key(twin)] = storage
            return self._twins[key].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def _strides(tensor: Tensor) -> tuple[int, ...] | None:
    """The tensor's strides, or None when its elements lie one after the other."""
    return None if tensor.is_contiguous() else tuple(tensor.stride())
