"""Every ATen call of a forward pass, noted with the path of the module that made it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _DisableTorchDispatch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from mbanalyze.ops.record import Op
from mbanalyze.ops.registry import REGISTRY
from mbanalyze.trace.kinds import RULES, is_free, is_question
from mbanalyze.trace.leaf_modules import Leaf, leaf_of
from mbanalyze.trace.match import Sighting
from mbanalyze.trace.schema import Arguments, Call, handed
from mbanalyze.trace.shapes import INSTEAD, KEPT
from mbanalyze.trace.storage import Values

_META = torch.device("meta")

_CALLS: dict[int, Call] = {}
"""The address of an overload -> how it is called."""


class HiddenError(RuntimeError):
    """An operator that calls others where nobody sees them."""


class AnotherThreadError(RuntimeError):
    """A module was called from a thread whose operators nobody sees."""


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every ATen call while it is active.

    Weights and buffers that meet a tensor without data are replaced by a twin without data; calls on real
    tensors alone run for real.

    Attributes:
        ops: every operator so far.
        free: what ran at no cost, by name, with how often.
        assumed: operators whose candidates were all kept, as keys.
        running: the operator that runs now; "" between two.
        failed: the path of the innermost module whose forward raised.
    """

    def __init__(self, values: Values, *, real: bool, keep: bool, shortcuts: bool) -> None:
        """Arguments as in `trace.trace`."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.ops: list[Op] = []
        self.free: Counter[str] = Counter()
        self.assumed: dict[str, None] = {}
        self.running = ""
        self.failed: str | None = None
        self._values = values
        self._real = real
        self._instead = INSTEAD if shortcuts else {}
        self._kept = KEPT if keep else {}
        self._path = [""]
        self._thread = threading.get_ident()
        self._raised: BaseException | None = None
        self._saved: list[tuple[Tensor, Tensor]] = []

    supports_higher_order_operators = True  # to say which one cannot be counted

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch imports its compiler at the first call

    def attribute(self, module: nn.Module, path: str) -> None:
        """Make a module say when its forward is running; whoever calls this takes that back."""
        forward, paths, thread = module.forward, self._path, self._thread

        def attributed(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread:
                raise AnotherThreadError(
                    f"{path or 'the model'} runs in a thread of its own, which a trace cannot see"
                )
            paths.append(path)
            try:
                return forward(*args, **kwargs)
            except BaseException as error:
                if self._raised is not error:
                    self._raised, self.failed = error, path
                raise
            finally:
                paths.pop()

        attributed.__wrapped__ = forward  # type: ignore[attr-defined]  # modules look at each other's signatures
        leaf = leaf_of(module) if self._instead and not self._real else None
        module.__dict__["forward"] = self._answered(module, path, leaf, attributed) if leaf else attributed

    def _answered(
        self, module: nn.Module, path: str, leaf: Leaf, attributed: Callable[..., Any]
    ) -> Callable[..., Any]:
        """The forward of a module that calls one operator, which is answered at once if it can be."""
        thread = self._thread
        ops, free, values = self.ops, self.free, self._values

        def answered(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if len(args) == 1 and not kwargs else None
            if type(given) is not Tensor or not given.is_meta or threading.get_ident() != thread:
                return attributed(*args, **kwargs)
            step = leaf(module, given)
            if step is None:
                return attributed(given)
            name, kind, operands, attributes, sizes = step
            if not kind:
                free[name] += 1
                return given
            if sizes is None:
                made = given
            else:
                with _DisableTorchDispatch():  # the tape itself, which would note how the answer is made
                    made = torch.empty(sizes, dtype=given.dtype, device=_META)
            read, params = values.read(operands)
            ops.append(Op(path, kind, read, values.write((made,)), params, attributes, name))
            return made

        answered.__wrapped__ = attributed  # type: ignore[attr-defined]  # as above
        return answered

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """On leaving, real tensors that the forward wrote to hold what they held."""
        try:
            yield
        finally:
            with torch.inference_mode():
                for alias, before in reversed(self._saved):
                    alias.copy_(before)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        call, kwargs = _CALLS.get(id(func)) or self._met(func), kwargs or {}
        made = None if self._real else self._answer(call, func, args, kwargs)
        return self._run(call, func, args, kwargs) if made is None else made

    def _met(self, func: Any) -> Call:
        if isinstance(func, HigherOrderOperator):
            raise HiddenError(f"the operator {func} hides what it runs")
        call = _CALLS[id(func)] = Call(func)
        return call

    def _answer(self, call: Call, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call on shapes returns, if a rule says so or it is a view; else None."""
        first = args[0] if args and isinstance(args[0], Tensor) else next(iter(handed(args)), None)
        if first is None or not (first.is_meta or self._lacks_values(handed(args))) or call.has_out:
            return None
        shortcut = self._instead.get(call.name)
        if shortcut:
            bound = call.bind(args, kwargs)
            made = shortcut(bound)
            if made is not None:
                if made is first and not call.mutable:
                    self.free[call.kind] += 1
                else:
                    self._note(call, bound, (), made if isinstance(made, tuple) else (made,))
                return made
        if not (call.views and call.places_nothing and first.is_meta):
            return None
        result = func(*args, **kwargs)
        if self._values.same_memory(result if isinstance(result, Tensor) else result[0], first):
            self.free[call.kind] += 1
        elif call.kind in RULES:
            self._note(call, call.bind(args, kwargs), (first,), handed((result,)))
        else:
            return None
        return result

    def _run(self, call: Call, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What any call returns, as torch has it."""
        bound = call.bind(args, kwargs)
        given = call.handed(bound)
        if is_free(call.kind, bound) or not (given or call.kind in RULES):
            result = self._result(func, call, bound, given, args, kwargs)
            self._note_free(call, handed((result,)))
            return result
        apart = call.composite and call.kind not in RULES and call.qualified not in REGISTRY
        if apart and call.mutable:
            return self._taken_apart(func, args, kwargs)
        result = self._result(func, call, bound, given, args, kwargs)
        made = handed((result,))
        if not call.mutable and self._all_views(call, given, made):
            self._note_free(call, ())
        elif apart:
            return self._taken_apart(func, args, kwargs)
        else:
            self._note(call, bound, given, made)
        return result

    def _taken_apart(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What a call returns, whose parts are noted instead of the whole."""
        with self:
            return func.decompose(*args, **kwargs)

    def _result(
        self, func: Any, call: Call, bound: Arguments, given: tuple[Tensor, ...], args: Any, kwargs: Any
    ) -> Any:
        """What torch, or the rule for keeping every candidate, says that a call returns."""
        self.running = call.qualified
        if self._real or not self._lacks_values(given):
            result = self._with_values(func, call, bound, given, args, kwargs)
        elif call.places_nothing and not self._kept and all(t.is_meta for t in given):
            result = func(*args, **kwargs)
        else:
            result = self._without_values(func, call, args, kwargs)
        self.running = ""
        return result

    def _with_values(
        self, func: Any, call: Call, bound: Arguments, given: tuple[Tensor, ...], args: Any, kwargs: Any
    ) -> Any:
        """What a call on real tensors returns; constants that a module may keep are ordinary tensors."""
        if call.mutable:
            self._saved += [(t.detach(), t.clone()) for t in call.written(bound, kwargs)]
        constant = not self._real and not any(t.is_inference() for t in given)
        with torch.inference_mode(mode=not constant):
            return func(*args, **kwargs)

    def _lacks_values(self, given: tuple[Tensor, ...]) -> bool:
        """Whether a call runs on shapes: one of its tensors has no data, or is a weight, which counts as none."""
        for tensor in given:
            if tensor.is_meta:
                return True
        return any(map(self._values.is_weight, given))

    def _without_values(self, func: Any, call: Call, args: Any, kwargs: Any) -> Any:
        """What torch, or the rule for keeping every candidate, says that a call on shapes returns."""
        args, kwargs = tree_map(self._without_data, (args, kwargs))
        rule = None if call.has_out else self._kept.get(call.name)
        result = rule(call.bind(args, kwargs)) if rule else None
        if result is None:
            return func(*args, **kwargs)
        self.assumed[call.name] = None
        return result

    def _without_data(self, argument: Any) -> Any:
        """A tensor as its twin without data, known as the same values; a device as the one without data."""
        if isinstance(argument, Tensor):
            return self._values.twin(argument)
        return torch.device("meta") if isinstance(argument, torch.device) else argument

    def _note_free(self, call: Call, made: tuple[Tensor, ...]) -> None:
        self.free[call.kind] += 1
        if call.mutable:
            for tensor in made:
                self._values.forget(tensor)

    def _note(
        self, call: Call, bound: Arguments, given: tuple[Tensor, ...], made: tuple[Tensor, ...]
    ) -> None:
        rule = RULES.get(call.kind)
        sighting = (rule(bound) if rule else None) or Sighting(call.qualified, given)
        operands, params = self._values.read(sighting.operands)
        output = self._values.write(made)
        settings = tuple(sorted(sighting.attributes.items())) if sighting.attributes else ()
        self.ops.append(Op(self._path[-1], sighting.kind, operands, output, params, settings, call.name))

    def _all_views(self, call: Call, given: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> bool:
        """Whether a call only looked; what one does that returns nothing is not known."""
        if not made:
            return is_question(call.name)
        return all(self._values.is_view(tensor, given) for tensor in made)
