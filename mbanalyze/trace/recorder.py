"""The dispatch mode that records every operator of a forward, with the path of its module."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from mbanalyze.ops.record import Attribute, Op
from mbanalyze.ops.registry import REGISTRY
from mbanalyze.trace.matching.kinds import MATCHERS, is_free, is_query
from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.module_stack import ModuleStack
from mbanalyze.trace.schema import Arguments, OpSchema, Tensors, flat_tensors
from mbanalyze.trace.shapes.keep_all import KEEP_ALL
from mbanalyze.trace.shapes.layout import META
from mbanalyze.trace.shapes.shortcuts import SHORTCUTS
from mbanalyze.trace.storage import Storages

Settings = tuple[tuple[str, Attribute], ...]
"""The attributes of an `Op`."""

_SCHEMAS: dict[int, OpSchema] = {}
"""The id of an overload -> its schema."""


class HiddenOperatorsError(RuntimeError):
    """An operator runs others that a dispatch mode cannot see."""


class _Call(NamedTuple):
    """One operator call.

    Attributes:
        overload: the operator.
        schema: its signature.
        args, kwargs: the arguments as given.
        bound: the arguments by name.
        tensors: the tensors among the arguments.
    """

    overload: Any
    schema: OpSchema
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    bound: Arguments
    tensors: Tensors

    def __call__(self) -> Any:
        """Run the operator."""
        return self.overload(*self.args, **self.kwargs)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator that runs in its context.

    An operator with a meta tensor or a weight among its arguments runs on meta tensors; weights and buffers
    are replaced by meta copies. Operators on other real tensors run for real.

    Attributes:
        ops: the operators recorded so far.
        free: how often each operator without cost ran, by name.
        assumed: the operators whose candidates were all kept, as keys.
        running: the operator that runs at present, or "".
        module_stack: the paths of the running modules.
        saved: a context that restores the elements of real tensors that operators overwrote.
    """

    supports_higher_order_operators = True  # to raise HiddenOperatorsError for them

    def __init__(self, storages: Storages, *, real: bool, keep: bool, shortcuts: bool) -> None:
        """Take the options of `trace`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[Op] = []
        self.free: Counter[str] = Counter()
        self.assumed: dict[str, None] = {}
        self.running = ""
        self.module_stack = ModuleStack()
        self.saved = ExitStack()
        self._storages = storages
        self._real = real
        self._shortcuts = SHORTCUTS if shortcuts else {}
        self._keep_rules = KEEP_ALL if keep else {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise the first call imports torch's compiler

    def add(
        self, path: str, kind: str, operands: Tensors, outputs: Tensors, attributes: Settings, operator: str
    ) -> None:
        """Record one operator; arguments as in `Op`."""
        read, params = self._storages.read(operands)
        self.ops.append(Op(path, kind, read, self._storages.write(outputs), params, attributes, operator))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        schema, kwargs = _SCHEMAS.get(id(func)) or _schema_of(func), kwargs or {}
        result = None if self._real else self._run_shortcut(schema, func, args, kwargs)
        if result is not None:
            return result
        bound = schema.bind(args, kwargs)
        return self._run(_Call(func, schema, args, kwargs, bound, schema.tensor_args(bound)))

    def _run_shortcut(
        self, schema: OpSchema, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the outputs of an operator that has a shape rule or returns a view, else None."""
        first = args[0] if args and isinstance(args[0], Tensor) else next(iter(flat_tensors(args)), None)
        if first is None or schema.has_out or not (first.is_meta or self._lacks_values(flat_tensors(args))):
            return None
        rule = self._shortcuts.get(schema.name)
        if rule:
            bound = schema.bind(args, kwargs)
            result = rule(bound)
            if result is not None:
                if result is first and not schema.mutable:
                    self.free[schema.base_name] += 1
                else:
                    self._record(schema, bound, (), result if isinstance(result, tuple) else (result,))
                return result
        if not schema.returns_views or schema.has_device or not first.is_meta:
            return None
        result = func(*args, **kwargs)
        if self._storages.share_storage(result if isinstance(result, Tensor) else result[0], first):
            self.free[schema.base_name] += 1
        elif schema.base_name in MATCHERS:
            self._record(schema, schema.bind(args, kwargs), (first,), flat_tensors((result,)))
        else:
            return None
        return result

    def _run(self, call: _Call) -> Any:
        """Run an operator and record it, as itself or as the operators that compose it."""
        schema = call.schema
        known = schema.base_name in MATCHERS
        if is_free(schema.base_name, call.bound) or not (call.tensors or known):
            result = self._result(call)
            self._record_free(schema, flat_tensors((result,)))
            return result
        opaque = schema.composite and not known and schema.qualified_name not in REGISTRY
        if opaque and schema.mutable:
            return self._decompose(call)
        result = self._result(call)
        outputs = flat_tensors((result,))
        if not schema.mutable and self._only_views(call, outputs):
            self._record_free(schema, ())
        elif opaque:
            return self._decompose(call)
        else:
            self._record(schema, call.bound, call.tensors, outputs)
        return result

    def _decompose(self, call: _Call) -> Any:
        """Run the operators that compose this one, and record those instead."""
        with self:
            return call.overload.decompose(*call.args, **call.kwargs)

    def _result(self, call: _Call) -> Any:
        """The outputs of an operator, on real or meta tensors."""
        schema = call.schema
        self.running = schema.qualified_name
        if self._real or not self._lacks_values(call.tensors):
            result = self._run_on_values(call)
        elif not schema.has_device and not self._keep_rules and all(t.is_meta for t in call.tensors):
            result = call()
        else:
            result = self._run_on_meta(call)
        self.running = ""
        return result

    def _lacks_values(self, tensors: tuple[Tensor, ...]) -> bool:
        """True if one of `tensors` has no data or is a weight, because weights lend only their shapes."""
        return any(tensor.is_meta for tensor in tensors) or any(map(self._storages.is_weight, tensors))

    def _run_on_values(self, call: _Call) -> Any:
        """Run on real tensors; a module may cache constants, so these are no inference tensors."""
        if call.schema.writes:
            for tensor in call.schema.written_args(call.bound, call.kwargs):
                self.saved.callback(tensor.detach().copy_, tensor.clone())
        constant = not self._real and not any(t.is_inference() for t in call.tensors)
        with torch.inference_mode(mode=not constant):
            return call()

    def _run_on_meta(self, call: _Call) -> Any:
        """Run on meta copies, or keep every candidate if the output depends on values."""
        schema = call.schema
        args, kwargs = tree_map(self._to_meta, (call.args, call.kwargs))
        rule = None if schema.has_out else self._keep_rules.get(schema.name)
        result = rule(schema.bind(args, kwargs)) if rule else None
        if result is None:
            return call.overload(*args, **kwargs)
        self.assumed[schema.name] = None
        return result

    def _to_meta(self, argument: Any) -> Any:
        """The meta copy of a tensor, and the meta device for any device."""
        if isinstance(argument, Tensor):
            return self._storages.to_meta(argument)
        return META if isinstance(argument, torch.device) else argument

    def _record_free(self, schema: OpSchema, outputs: tuple[Tensor, ...]) -> None:
        self.free[schema.base_name] += 1
        if schema.mutable:
            for tensor in outputs:
                self._storages.invalidate(tensor)

    def _record(self, schema: OpSchema, bound: Arguments, tensors: Tensors, outputs: Tensors) -> None:
        """Record an operator by its matcher; one without is recorded by its name and reads `tensors`."""
        matcher = MATCHERS.get(schema.base_name)
        match = (matcher(bound) if matcher else None) or Match(schema.qualified_name, tensors)
        kind, operands, attributes = match
        settings = tuple(sorted(attributes.items())) if attributes else ()
        self.add(self.module_stack.paths[-1], kind, operands, outputs, settings, schema.name)

    def _only_views(self, call: _Call, outputs: tuple[Tensor, ...]) -> bool:
        """True if an operator returned views of its arguments, or only queried them."""
        if not outputs:
            return is_query(call.schema.name)
        return all(self._storages.is_view(tensor, call.tensors) for tensor in outputs)


def _schema_of(overload: Any) -> OpSchema:
    if isinstance(overload, HigherOrderOperator):
        raise HiddenOperatorsError(f"the operator {overload} hides what it runs")
    schema = _SCHEMAS[id(overload)] = OpSchema(overload)
    return schema
