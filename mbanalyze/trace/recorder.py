"""The dispatch mode that records every operator of a forward, with the path of its module."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock
from typing import Any

from torch import Tensor

from mbanalyze.ops.record import Attribute, Op
from mbanalyze.ops.registry import REGISTRY
from mbanalyze.trace.execution import Call, Execution
from mbanalyze.trace.followed_sizes import SizeProducts
from mbanalyze.trace.higher_order import run_higher_order
from mbanalyze.trace.matching.free import is_free, is_query
from mbanalyze.trace.matching.kinds import MATCHERS
from mbanalyze.trace.matching.match import Match
from mbanalyze.trace.module_stack import ModuleStack
from mbanalyze.trace.schema import Arguments, OpSchema, Tensors, flat_tensors
from mbanalyze.trace.shapes.shortcuts import REQUIRED, SHORTCUTS
from mbanalyze.trace.shapes.view_methods import METHODS, VIEWS
from mbanalyze.trace.surroundings.autocast import Entered, OnDevice, autocast_key, unwrap
from mbanalyze.trace.torch_internals import DispatchMode, HigherOrderOperator, take_higher_order, tree_map
from mbanalyze.trace.unreturned import UNRETURNED

Settings = tuple[tuple[str, Attribute], ...]
"""The attributes of an `Op`."""


class Operator:
    """An overload, with what the recorder looks up once.

    Attributes:
        schema: its signature.
        matcher: its matcher, or None.
        method: the operator, or the method of tensors with the same positional arguments.
        is_view: True if the operator always returns views of its first argument.
        unreturned: its rule for tensors that it computes and does not return, or None.
    """

    __slots__ = ("is_view", "matcher", "method", "schema", "unreturned")

    def __init__(self, overload: Any) -> None:
        """Look up an overload."""
        self.schema = OpSchema(overload)
        self.matcher = MATCHERS.get(self.schema.base_name)
        self.method = METHODS.get(overload.name(), overload)
        self.is_view = overload.name() in VIEWS
        self.unreturned = UNRETURNED.get(self.schema.base_name)


_OPERATORS: dict[int, Operator] = {}
"""The id of an overload -> the operator."""


class Recorder(DispatchMode):
    """Records every operator that runs in its context: those of the model's thread, or of one task of another.

    Attributes:
        ops: the operators recorded so far.
        free: how often each operator without cost ran, by name.
        module_stack: the paths of the modules that run in this thread.
        execution: runs the operators.
        storages: the memory of every tensor.
        lock: held for each operator if the forward uses several threads, else None.
        entered: the autocast contexts that this thread has entered.
        branches: the modules with a conditional operator whose costlier branch was recorded, as keys.
        is_trial: True while a branch runs only to find out its cost.
        products: the multiplications of sizes, if they are followed.
    """

    supports_higher_order_operators = True

    def __init__(self, execution: Execution, module_stack: ModuleStack, *, shortcuts: bool) -> None:
        """Take the options of `trace`."""
        super().__init__()  # type: ignore[no-untyped-call]
        take_higher_order(Recorder)
        self.ops: list[Op] = []
        self.free: Counter[str] = Counter()
        self.module_stack = module_stack
        self.execution = execution
        self.storages = execution.storages
        self.lock: RLock | None = None
        self.entered: Entered = []
        self.branches: dict[str, None] = {}
        self.is_trial = False
        self.products: SizeProducts | None = None
        self._real = execution.real
        self._steps = execution.storages.lifetimes.steps
        self._shortcuts = SHORTCUTS if shortcuts else REQUIRED
        self._casting = False

    def add(
        self,
        path: str,
        kind: str,
        operands: Tensors,
        outputs: Tensors,
        attributes: Settings,
        operator: str,
        in_place: bool = False,
    ) -> None:
        """Record one operator; arguments as in `Op`, and True if all outputs were given to it."""
        read, params, frozen = self.storages.read(operands)
        written, overwrites = self.storages.write(outputs, in_place=in_place)
        op = Op(path, kind, read, written, params, attributes, operator, frozen, overwrites)
        self.ops.append(op)
        self._steps.append(op)
        if self.execution.timer:
            self.execution.timer.assign()

    def refuse(self, error: Exception) -> Exception:
        """Return `error`, and remember it in case the forward catches it."""
        self.execution.refused.append(str(error))
        return error

    def child(self, module_stack: ModuleStack, lock: RLock) -> Recorder:
        """Return a recorder for another thread. From now on, one operator runs at a time."""
        child = Recorder(self.execution, module_stack, shortcuts=self._shortcuts is SHORTCUTS)
        self.lock = child.lock = lock
        return child

    @contextmanager
    def trial(self) -> Iterator[list[Op]]:
        """Record operators in the list of this context, and forget them and their effects at its end."""
        ops, free, branches, before = self.ops, self.free.copy(), self.branches.copy(), self.is_trial
        storages, saved = self.storages.checkpoint(), self.execution.saved
        self.ops, self.is_trial = [], True
        try:
            with ExitStack() as self.execution.saved:
                yield self.ops
        finally:
            self.ops, self.branches, self.is_trial = ops, branches, before
            self.execution.saved = saved
            self.free.clear()
            self.free.update(free)
            self.storages.roll_back(storages)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self.products:
            self.products.take((args, kwargs))
        if self.lock is None or isinstance(func, HigherOrderOperator):  # the parts of one take the lock
            return self._dispatch(func, types, args, kwargs or {})
        with self.lock:
            return self._dispatch(func, types, args, kwargs or {})

    def _dispatch(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Record one operator, or the operators that it stands for."""
        if types and any(map(_runs_operators, types)):
            return NotImplemented  # the class runs operators, which come here in turn
        operator = _OPERATORS.get(id(func))
        if operator is None:
            if isinstance(func, HigherOrderOperator):
                return run_higher_order(self, func, args, kwargs)
            operator = _OPERATORS[id(func)] = Operator(func)
        if not self._real:
            if self.entered:
                if OnDevice in types:
                    args, kwargs = tree_map(unwrap, (args, kwargs))
                elif not self._casting and (key := autocast_key(func, self.entered)):
                    return self._run_with_casts(func, *key, args, kwargs)
            result = self._run_shortcut(operator, args, kwargs)
            if result is not None:
                return result
        schema = operator.schema
        bound = schema.bind(args, kwargs)
        return self._run(Call(func, schema, args, kwargs, bound, schema.tensor_args(bound)))

    def _run_with_casts(
        self, func: Any, device: str, keys: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run the autocast kernel of an operator, which casts its arguments and calls it."""

        def claimed(argument: Any) -> Any:
            lacking = isinstance(argument, Tensor) and self.storages.lacks_values(argument)
            return OnDevice(self.storages.to_meta(argument), device) if lacking else argument

        args, kwargs = tree_map(claimed, (args, kwargs))
        self._casting = True
        try:
            with self:
                return func.redispatch(keys, *args, **kwargs)
        finally:
            self._casting = False

    def _run_shortcut(self, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the outputs of an operator that has a shape rule or returns a view, else None."""
        first = args[0] if args else None
        if type(first) is not Tensor:
            first = next(iter(flat_tensors(args)), None)
        if first is None or not (first.is_meta or self.execution.lacks_values(flat_tensors(args))):
            return None
        if operator.is_view and first.is_meta and type(first) is Tensor and not kwargs:
            self.free[operator.schema.base_name] += 1
            return operator.method(*args)
        schema, rule = operator.schema, self._shortcuts.get(operator.schema.name)
        if rule and not schema.has_out:
            bound = schema.bind(args, kwargs)
            result = rule(bound)
            if result is not None:
                if result is first and not schema.mutable:
                    self.free[schema.base_name] += 1
                else:
                    self._record(operator, bound, (), result if isinstance(result, tuple) else (result,))
                return result
        if not schema.returns_views or schema.has_device or not first.is_meta:
            return None
        return self._run_view(operator, first, args, kwargs)

    def _run_view(
        self, operator: Operator, first: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the outputs of an operator that returns views or else copies; None if it is unknown as a copy."""
        schema = operator.schema
        has_method = type(first) is Tensor and not kwargs  # the method of another class may run its own code
        result = operator.method(*args) if has_method else schema.overload(*args, **kwargs)
        view = result if isinstance(result, Tensor) else result[0] if result else first
        if self.storages.share_storage(view, first):
            self.free[schema.base_name] += 1
        elif operator.matcher:
            self._record(operator, schema.bind(args, kwargs), (first,), flat_tensors((result,)))
        else:
            return None
        return result

    def _run(self, call: Call) -> Any:
        """Run an operator and record it, as itself or as the operators that compose it."""
        schema = call.schema
        known = schema.base_name in MATCHERS
        if schema.is_data_assignment:
            self.storages.invalidate(call.tensors[0])
            if not self._real:
                return True  # `tensor.data = meta` is possible during a trace; the tensor is restored later
        if is_free(schema.base_name, call.bound):
            return self._run_free(call)
        if schema.composite and not known and schema.qualified_name not in REGISTRY:
            return self._run_composite(call)
        result = self.execution.result(call)
        outputs = flat_tensors((result,))
        if not schema.mutable and self._only_views(call, outputs):
            self.free[schema.base_name] += 1
        else:
            self._record(_OPERATORS[id(call.overload)], call.bound, call.tensors, outputs)
        return result

    def _run_free(self, call: Call) -> Any:
        """Run an operator that does no work."""
        result = self.execution.result(call)
        self.free[call.schema.base_name] += 1
        outputs = flat_tensors((result,))
        allocated = self.storages.add_made(outputs, of=call.tensors)
        if call.schema.mutable:
            for tensor in outputs:
                self.storages.invalidate(tensor)
            allocated = self.storages.note_sizes(outputs)
        if allocated:
            self._steps.append((self.module_stack.paths[-1], call.schema.base_name))
        return result

    def _run_composite(self, call: Call) -> Any:
        """Run an operator that returns views, or else the operators that compose it, and record those."""
        schema = call.schema
        if not schema.mutable:
            asked = self.execution.asked
            with suppress(Exception):
                result = self.execution.result(call)
                if self._only_views(call, flat_tensors((result,))):
                    self.free[schema.base_name] += 1
                    return result
            self.execution.asked = asked
        args, kwargs = self.execution.parts_arguments(call)
        with self:
            return call.overload.decompose(*args, **kwargs)

    def _record(self, operator: Operator, bound: Arguments, tensors: Tensors, outputs: Tensors) -> None:
        """Record an operator by its matcher; one without is recorded by its name and reads `tensors`."""
        schema, matcher = operator.schema, operator.matcher
        match = (matcher(bound) if matcher else None) or Match(schema.qualified_name, tensors)
        kind, operands, attributes, results = match
        settings = tuple(sorted(attributes.items())) if attributes else ()
        if results is not None and results < len(outputs):
            self.storages.add_made(outputs[results:])
            outputs = outputs[:results]
        if schema.has_out:
            self.storages.note_sizes(outputs)
        if operator.unreturned:
            self.storages.lifetimes.pass_by(operator.unreturned(bound, outputs[0]))
        path = self.module_stack.paths[-1]
        self.add(path, kind, operands, outputs, settings, schema.name, schema.in_place)

    def _only_views(self, call: Call, outputs: tuple[Tensor, ...]) -> bool:
        """True if an operator returned views of its arguments, or only queried them."""
        if not outputs:
            return is_query(call.schema.name) or call.schema.returns_views
        return all(self.storages.is_view(tensor, call.tensors) for tensor in outputs)


@functools.cache
def _runs_operators(kind: type[Tensor]) -> bool:
    """True for a class of tensors that runs operators itself, such as a nested tensor."""
    return kind is not OnDevice and kind.__torch_dispatch__ is not Tensor.__torch_dispatch__
