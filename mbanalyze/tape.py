"""Every ATen call of a forward pass, noted with the path of the module that made it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from mbanalyze.calls import Arguments, Call, call_of, handed
from mbanalyze.cost import Op
from mbanalyze.operators import RULES, Sighting, is_free
from mbanalyze.outputs import INSTEAD, KEPT
from mbanalyze.values import Values


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
        module.__dict__["forward"] = attributed

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
        call, kwargs = call_of(func), kwargs or {}
        bound = call.bind(args, kwargs)
        given = call.handed(bound)
        self.running = call.qualified
        made = None
        if self._real or not self._lacks_values(given):
            if call.mutable:
                self._saved += [(t.detach(), t.clone()) for t in call.written(bound, kwargs)]
            result = func(*args, **kwargs)
        else:
            shortcut = None if call.has_out else self._instead.get(call.name)
            result = made = shortcut(bound) if shortcut else None
            if made is None and call.places_nothing and all(t.is_meta for t in given) and not self._kept:
                result = func(*args, **kwargs)
            elif made is None:
                result = self._without_values(func, call, args, kwargs)
        self.running = ""
        self._note(call, bound, given, handed((result,)), fresh=made is not None)
        return result

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

    def _note(
        self,
        call: Call,
        bound: Arguments,
        given: tuple[Tensor, ...],
        made: tuple[Tensor, ...],
        *,
        fresh: bool,
    ) -> None:
        """Note one call; what is `fresh` is no view."""
        values = self._values
        is_view = not fresh and not call.mutable and self._all_views(call, given, made)
        if not given or is_view or is_free(call.kind, bound):
            self.free[call.kind] += 1
            if call.mutable:
                for tensor in made:
                    values.forget(tensor)
            return
        rule = RULES.get(call.kind)
        sighting = (rule(bound) if rule else None) or Sighting(call.qualified, given)
        operands, params = values.read(sighting.operands)
        output = values.write(made)
        settings = tuple(sorted(sighting.attributes.items())) if sighting.attributes else ()
        self.ops.append(Op(self._path[-1], sighting.kind, operands, output, params, settings, call.name))

    def _all_views(self, call: Call, given: tuple[Tensor, ...], made: tuple[Tensor, ...]) -> bool:
        """Whether a call only looked; what a custom operator does that returns nothing is not known."""
        if not made:
            return call.qualified.startswith("aten::")
        return all(self._values.is_view(tensor, given) for tensor in made)
