"""A real module, operator by operator: it runs on tensors that hold no data, and every call is noted.

The forward runs under `torch.inference_mode`, in eval mode unless asked otherwise, on meta tensors; the
module's own weights stay where they are and only lend their shapes. Afterwards the module is as it was, also
when its forward raises.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map, tree_map_only

from mbanalyze.cost import Op, Role, Value, canonical, is_shape
from mbanalyze.operators import RULES, Arguments, Sighting, arguments, is_free, tensors
from mbanalyze.outputs import INSTEAD, KEPT
from mbanalyze.parsing import Typed
from mbanalyze.undisturbed import undisturbed

Mode = Literal["eval", "train"]

_LOCK = threading.RLock()  # a trace replaces each module's forward, and state that all of torch shares


class TraceError(ValueError):
    """The module's forward could not be run on tensors without data."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What one forward pass did.

    Attributes:
        ops: every operator, in order.
        free: what ran at no cost (views, allocation, dropout in eval mode), by name, with how often.
        unused_params: names of the parameters that the forward never read.
        assumed: operators whose result depends on values, and was assumed to keep every candidate.
    """

    ops: tuple[Op, ...]
    free: dict[str, int]
    unused_params: tuple[str, ...]
    assumed: tuple[str, ...] = ()


def trace(
    model: nn.Module,
    *inputs: Any,
    keywords: Mapping[str, Any] | None = None,
    mode: Mode = "eval",
    real: bool = False,
    keep: bool = False,
) -> Trace:
    """Run `model` on shapes and note every operator.

    Args:
        model: any module; weights may be on any device, `meta` included.
        inputs: tensors, or containers of tensors, whose shapes and dtypes are taken; see `as_inputs`.
        keywords: the same for arguments that the forward takes by name.
        mode: "train" to count what runs in training mode; nothing is differentiated.
        real: run on the tensors as they are, with their data, which takes the time of a forward pass.
        keep: where a result depends on values that a trace has not got (`nonzero`, non-maximum suppression),
            assume that every candidate is kept.

    Raises:
        TraceError: the model is not built yet, or its forward raised; the message names the innermost
            module that was running.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    if isinstance(model, torch.jit.ScriptModule):
        raise TraceError("a TorchScript module hides its operators: give the module that it was made from")
    lazy = [name for name, param in model.named_parameters() if is_lazy(param)]
    if lazy:
        raise TraceError(f"{lazy[0]} has no shape yet: run the module once on a real input first")
    tape = _Tape(model, real=real, keep=keep)
    tape.refuse_interleaved()
    try:
        with _LOCK, undisturbed(model), tape.restoring():
            for module in model.modules():
                module.training = mode == "train"  # not `eval()`, which a module may have made do more
                module.__dict__["_compiled_call_impl"] = None
            tape.attribute(model)
            with torch.inference_mode():
                args, kwargs = tape.begin((inputs, dict(keywords or {})))
                with tape:
                    model(*args, **kwargs)
    except (Exception, SystemExit) as error:
        raise TraceError(_why(model, tape, error)) from error
    return Trace(tuple(tape.ops), dict(tape.free), tape.unused(), tuple(tape.assumed))


def floating_dtype(model: nn.Module, inputs: Sequence[Any] = ()) -> torch.dtype:
    """The dtype of the first floating-point parameter, else input, else torch's default."""
    values = (*model.parameters(), *tensors(list(inputs)))
    return next((v.dtype for v in values if v.is_floating_point()), torch.get_default_dtype())


def as_inputs(model: nn.Module, given: Any, *, real: bool = False) -> Any:
    """`given`, a container, with each shape in it replaced by a tensor without data.

    It has the dtype that goes with the shape, or else the model's.

    Args:
        real: make tensors with data: random ones, always the same, from 0 to 1; integers are zeros.

    Raises:
        TraceError: no tensor can be that large.
    """
    own = floating_dtype(model)
    generator = torch.Generator().manual_seed(0)

    def made(leaf: Any) -> Any:
        if not _is_input(leaf):
            return leaf
        shape, dtype = (leaf.shape, getattr(torch, leaf.dtype)) if isinstance(leaf, Typed) else (leaf, own)
        if not real:
            return torch.empty(shape, dtype=dtype, device="meta")
        if not dtype.is_floating_point:
            return torch.zeros(shape, dtype=dtype)
        return torch.rand(shape, generator=generator).to(dtype)

    try:
        return tree_map(made, given, is_leaf=_is_input)
    except (RuntimeError, OverflowError, TypeError) as error:
        raise TraceError(f"no such input: {str(error).splitlines()[0]}") from error


def _is_input(leaf: object) -> bool:
    return isinstance(leaf, Typed) or (is_shape(leaf) and len(leaf) > 0)


def _why(model: nn.Module, tape: _Tape, error: BaseException) -> str:
    where = f"module {tape.failed!r}" if tape.failed else f"{type(model).__name__}.forward"
    what = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = f"the forward raised {type(error).__name__} in {where}: {what}"
    hints = ("meta", "incompatible tensor type", "data-dependent")
    if isinstance(error, NotImplementedError | RuntimeError) and any(h in str(error).lower() for h in hints):
        at = f"{tape.running} " if tape.running else ""
        text += f" ({at}needs the values of a tensor, and a trace has only shapes; --real runs on values)"
    return text


@dataclass(slots=True)
class _Source:
    """What values are counted as: an activation, a stored constant, or one parameter.

    `start` and `stop` are the bytes of its storage between which a parameter lies.
    """

    role: Role
    number: int | None = None
    param: nn.Parameter | None = None
    start: int = 0
    stop: int = 0


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every ATen call while it is active, with the path of the module that made it.

    Tensors are told apart by their storage, so a view is known for what it looks into. Weights and
    buffers that meet a tensor without data are replaced by a twin without data; calls on real tensors
    alone run for real.
    """

    def __init__(self, model: nn.Module, *, real: bool, keep: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.real = real
        self.keep = keep
        self.assumed: dict[str, None] = {}
        self.running = ""
        self.ops: list[Op] = []
        self.free: Counter[str] = Counter()
        self.failed: str | None = None
        self._raised: BaseException | None = None
        self._path = [""]
        self._params = dict(model.named_parameters())
        self._read: set[int] = set()
        self._numbers: Counter[Role] = Counter()
        self._sources: dict[int, list[_Source]] = {}
        self._twins: dict[tuple[int, torch.dtype], Tensor] = {}
        self._thread = threading.get_ident()
        self._kept: list[torch.UntypedStorage] = []  # alive, so that no address is used twice
        self._saved: list[tuple[Tensor, Tensor]] = []
        for param in self._params.values():
            start, stop = _extent(param)
            self._know(param, []).append(_Source("weight", None, param, start, stop))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch imports its compiler at the first call

    def refuse_interleaved(self) -> None:
        """Raise `TraceError` where parameters lie in each other's memory, so that a view could be of either."""
        for sources in self._sources.values():
            ordered = sorted(sources, key=lambda source: (source.start, source.stop))
            for a, b in itertools.pairwise(ordered):
                if b.start < a.stop and (a.start, a.stop) != (b.start, b.stop):
                    names = [name for name, p in self._params.items() if p is a.param or p is b.param]
                    raise TraceError(f"{' and '.join(names)} are interleaved in memory: clone one of them")

    def begin(self, inputs: Any) -> Any:
        """`inputs` without their data: the first activations."""
        for tensor in tensors(inputs):
            self._number(self._source(tensor, "activation"))
        return tree_map_only(Tensor, lambda t: (t if self.real else self._twin(t)).detach(), inputs)

    def attribute(self, model: nn.Module) -> None:
        """Make each submodule say when its forward is running."""
        for path, module in model.named_modules():
            module.__dict__["forward"] = self._attributed(module.forward, path)

    def _attributed(self, forward: Callable[..., Any], path: str) -> Callable[..., Any]:
        @functools.wraps(forward)
        def attributed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                raise TraceError(
                    f"{path or 'the model'} runs in a thread of its own, which a trace cannot see"
                )
            self._path.append(path)
            try:
                return forward(*args, **kwargs)
            except BaseException as error:
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
                for alias, before in reversed(self._saved):
                    alias.copy_(before)

    def unused(self) -> tuple[str, ...]:
        """Names of the parameters not read so far."""
        return tuple(name for name, param in self._params.items() if id(param) not in self._read)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        schema = func._schema  # noqa: SLF001 (torch offers no other way to it)
        given = tensors((args, kwargs))
        self.running = schema.name
        call = arguments(schema, args, kwargs)
        if not self.real and any(t.device.type == "meta" or self._source(t).role == "weight" for t in given):
            result = self._without_values(func, schema.name.removeprefix("aten::"), args, kwargs)
        else:
            if schema.is_mutable:
                self._save(schema, args, kwargs)
            result = func(*args, **kwargs)
        self.running = ""
        self._note(schema, call, tensors(result))
        return result

    def _without_values(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """What a call returns on tensors without data."""
        blank_args, blank_kwargs = tree_map(self._without_data, (args, kwargs))
        call = arguments(func._schema, blank_args, blank_kwargs)  # noqa: SLF001 (as above)
        written = any(argument.is_out for argument in func._schema.arguments)  # noqa: SLF001 (as above)
        for source in () if written else (INSTEAD, KEPT) if self.keep else (INSTEAD,):
            result = source[name](call) if name in source else None
            if result is not None:
                self.assumed |= {name: None} if source is KEPT else {}
                return result
        return func(*blank_args, **blank_kwargs)

    def _save(self, schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Remember what a real tensor holds before it is written to."""
        for position, argument in enumerate(schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                given = args[position] if position < len(args) else kwargs.get(argument.name)
                self._saved += [(t.detach(), t.clone()) for t in tensors(given)]

    def _note(self, schema: Any, call: Arguments, made: tuple[Tensor, ...]) -> None:
        name = schema.name.removeprefix("aten::")
        kind = name.removesuffix("_") if schema.is_mutable else name
        given = tensors(list(call.values()))
        known = {id(self._source(t)) for t in given}
        ours = schema.name.startswith(
            "aten::"
        )  # what a custom operator that returns nothing does is not known
        is_view = (
            not schema.is_mutable
            and (bool(made) or ours)
            and all(id(self._source(t, "activation")) in known for t in made)
        )
        if not given or is_view or is_free(kind, call):
            self.free[kind] += 1
            return
        rule = RULES.get(kind)
        sighting = rule(call) if rule else None
        if sighting is None:
            sighting = Sighting(schema.name, given)
        params = sum(map(self._first_read, sighting.operands))
        operands = tuple(self._value(t) for t in sighting.operands)
        for tensor in made:
            self._written(tensor)
        output = tuple(self._value(t) for t in made)
        settings = tuple(sorted(sighting.attributes.items()))
        self.ops.append(Op(self._path[-1], sighting.kind, operands, output, params, settings, name))

    def _first_read(self, operand: Tensor) -> int:
        """The learned scalars of `operand` that nothing read before."""
        start, stop = _extent(operand)
        owned = 0
        for source in self._sources[self._key(operand)]:
            overlaps = source.start < stop and start < source.stop
            if source.param is not None and overlaps and id(source.param) not in self._read:
                self._read.add(id(source.param))
                owned += source.param.numel()
        return owned

    def _key(self, tensor: Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)  # noqa: SLF001 (a meta tensor's only address)

    def _know(self, tensor: Tensor, sources: list[_Source]) -> list[_Source]:
        """What the tensor's storage holds: `sources` if it is met for the first time."""
        key = self._key(tensor)
        if key not in self._sources:
            self._kept.append(tensor.untyped_storage())
            self._sources[key] = sources
        return self._sources[key]

    def _source(self, tensor: Tensor, role: Role = "buffer") -> _Source:
        """What `tensor` is; where unknown, `role`: neither input, parameter nor result is a stored constant."""
        sources = self._know(tensor, [_Source(role)])
        if len(sources) == 1:
            return sources[0]
        start, _ = _extent(tensor)
        return next((s for s in sources if s.start <= start < s.stop), sources[0])

    def _number(self, source: _Source) -> int:
        if source.number is None:
            source.number = self._numbers[source.role]
            self._numbers[source.role] += 1
        return source.number

    def _written(self, tensor: Tensor) -> None:
        """`tensor` holds what it did not before: an activation gets its next number."""
        source = self._source(tensor, "activation")
        if source.role == "activation":
            source.number = None
            self._number(source)

    def _value(self, tensor: Tensor) -> Value:
        source, dtype = self._source(tensor), tensor.dtype
        shape = tuple(tensor.shape)
        return Value(
            source.role,
            self._number(source),
            shape,
            int(tensor.storage_offset()) - source.start // dtype.itemsize,
            canonical(shape, tensor.stride()),
            None if dtype.is_floating_point else dtype.itemsize,
        )

    def _without_data(self, argument: Any) -> Any:
        """A tensor as its twin without data, known as the same values; a device as the one without data."""
        if isinstance(argument, torch.device):
            return torch.device("meta")
        return self._twin(argument) if isinstance(argument, Tensor) else argument

    def _twin(self, tensor: Tensor) -> Tensor:
        if tensor.device.type == "meta":
            return tensor
        self._source(tensor)
        key = self._key(tensor), tensor.dtype
        with torch.inference_mode(mode=tensor.is_inference()):  # views of it must be of the same sort
            if key not in self._twins:
                elements = tensor.untyped_storage().nbytes() // tensor.itemsize
                twin = torch.empty(elements, dtype=tensor.dtype, device="meta")
                self._twins[key] = twin
                self._know(twin, self._sources[self._key(tensor)])
            return self._twins[key].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def _extent(tensor: Tensor) -> tuple[int, int]:
    """The bytes of its storage between which `tensor` lies: first, and one past the last."""
    start = int(tensor.storage_offset()) * tensor.itemsize
    if tensor.numel() == 0:
        return start, start
    reach = sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return start, start + (int(reach) + 1) * tensor.itemsize
