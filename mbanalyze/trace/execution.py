"""The execution of one operator during a trace: on values, on meta tensors, or by assumption."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mbanalyze.trace.lookups import indices_of, require_in_range
from mbanalyze.trace.operator_timer import OperatorTimer
from mbanalyze.trace.schema import Arguments, OpSchema, Tensors
from mbanalyze.trace.shapes.keep_all import KEEP_ALL
from mbanalyze.trace.shapes.layout import META
from mbanalyze.trace.shapes.settled import settled
from mbanalyze.trace.shapes.valued import VALUED
from mbanalyze.trace.storage import Storages
from mbanalyze.trace.surroundings.devices import on_present_device
from mbanalyze.trace.torch_internals import preserve_version, tree_map

_NO_DATA = ("meta", "incompatible tensor type", "data-dependent", "numpy", "no data", "allocated")
"""Parts of PyTorch's messages about tensors without data."""


def misses_data(error: BaseException) -> bool:
    """Return True if an error may come from a tensor without data."""
    return any(hint in str(error).lower() for hint in _NO_DATA)


class Call(NamedTuple):
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


class Execution:
    """Runs operators: on meta tensors if an argument has no data or is a weight, else on values.

    Attributes:
        storages: the memory of every tensor.
        real: True to run every operator on values.
        made_up: True if some values are not the user's, so that an operator that they do not fit runs on shapes.
        assumed: the operators whose candidates were all kept, as keys.
        asked: the first operator that needed the values of a tensor without data, or "".
        refused: the messages of errors that the recorder raised, which a forward may have caught.
        saved: a context that restores the elements of real tensors that operators overwrote.
        timer: times the operators that run on values, or None.
    """

    def __init__(self, storages: Storages, *, real: bool, keep: bool, made_up: bool = False) -> None:
        """Take the options of `trace`."""
        self.storages = storages
        self.real = real
        self.made_up = made_up
        self.assumed: dict[str, None] = {}
        self.asked = ""
        self.refused: list[str] = []
        self.saved = ExitStack()
        self.timer: OperatorTimer | None = None
        self._keep_rules = KEEP_ALL if keep else {}

    def result(self, call: Call) -> Any:
        """Return the outputs of an operator, on real or meta tensors."""
        schema = call.schema
        lacks_values = self.lacks_values((*call.tensors, *schema.outputs_given(call.kwargs)))
        if self.timer:
            result = self.timer.run(partial(self._run_on_values, call))
        elif self.real:
            result = self._run_on_values(call)
        elif lacks_values:
            result = self._run_without_values(call)
        else:
            result = self._run_on_given_values(call)
        return result

    def lacks_values(self, tensors: Tensors) -> bool:
        """Return True if one of `tensors` has no data or is a weight, because weights lend only their shapes."""
        return any(tensor.is_meta for tensor in tensors) or any(map(self.storages.lacks_values, tensors))

    def parts_arguments(self, call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with which the operators that compose this one can run.

        Elements are taken from one device: integers stay, because they may be sizes or indices.
        """
        if self.real or not self.lacks_values(call.tensors):
            return call.args, call.kwargs
        arguments: tuple[tuple[Any, ...], dict[str, Any]] = tree_map(
            self._element_to_meta, (call.args, call.kwargs)
        )
        return arguments

    def _run_on_values(self, call: Call) -> Any:
        """Run on real tensors; a module may cache constants, so these are no inference tensors."""
        if call.schema.writes and not self.real:
            for tensor in call.schema.written_args(call.bound, call.kwargs):
                if not self.storages.is_temporary(tensor):
                    self.saved.callback(_copy_back, tensor.detach(), tensor.clone())
        args, kwargs = call.args, call.kwargs
        if call.schema.has_device:
            args = tuple(map(on_present_device, args))
            kwargs = {name: on_present_device(value) for name, value in kwargs.items()}
        constant = not self.real and not any(t.is_inference() for t in call.tensors)
        if not constant and torch.is_inference_mode_enabled():
            return call.overload(*args, **kwargs)
        with torch.inference_mode(mode=not constant), torch.no_grad():
            return call.overload(*args, **kwargs)

    def _run_on_given_values(self, call: Call) -> Any:
        """Run on values, or on shapes if made-up values do not fit, such as zeros that have no inverse."""
        try:
            return self._run_on_values(call)
        except RuntimeError:
            if not self.made_up or not call.tensors or call.schema.mutable:
                raise
            with suppress(Exception):
                return self._run_on_meta(call)
            raise

    def _run_without_values(self, call: Call) -> Any:
        """Run on meta tensors, and note an operator that asks for values."""
        schema = call.schema
        indices = None if self.made_up else indices_of(schema.name, call.bound)
        if indices is not None and not self.lacks_values((indices,)):
            require_in_range(schema.name, call.bound)
        plain = not schema.has_device and not self._keep_rules and schema.name not in VALUED
        try:
            if plain and all(
                tensor.is_meta for tensor in (*call.tensors, *schema.outputs_given(call.kwargs))
            ):
                return settled(schema.name, call.bound, call())
            return self._run_on_meta(call)
        except Exception as error:
            if isinstance(error, NotImplementedError) or misses_data(error):
                self.asked = self.asked or schema.qualified_name
            raise

    def _run_on_meta(self, call: Call) -> Any:
        """Run on meta copies; by a rule if the values that are given decide, or if every candidate is kept."""
        schema = call.schema
        valued = VALUED.get(schema.name)
        result = valued(call.bound) if valued else None
        if result is not None:
            return result
        args, kwargs = tree_map(self._to_meta, (call.args, call.kwargs))
        rule = None if schema.has_out else self._keep_rules.get(schema.name)
        result = rule(schema.bind(args, kwargs)) if rule else None
        if result is not None:
            self.assumed[schema.name] = None
            return result
        result = settled(schema.name, call.bound, call.overload(*args, **kwargs))
        for tensor in schema.written_args(call.bound, call.kwargs) if schema.mutable else ():
            if not tensor.is_meta:
                self.storages.discard_values(tensor)
        return result

    def _to_meta(self, argument: Any) -> Any:
        """The meta copy of a tensor, and the meta device for any device."""
        if isinstance(argument, Tensor):
            return self.storages.to_meta(argument)
        return META if isinstance(argument, torch.device) else argument

    def _element_to_meta(self, argument: Any) -> Any:
        fixed = isinstance(argument, Tensor) and not (argument.is_floating_point() or argument.is_complex())
        return argument if fixed else self._to_meta(argument)


def _copy_back(tensor: Tensor, content: Tensor) -> None:
    """Write `content` to `tensor`, whose version stays, since it is what it was."""
    with nullcontext() if tensor.is_inference() else preserve_version(tensor):
        tensor.copy_(content)
