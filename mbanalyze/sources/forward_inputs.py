"""The inputs that a user gives for a forward, checked before the trace."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mbanalyze.inputs.shape import Shape
from mbanalyze.inputs.typed import InputError, is_shape, is_whole

if TYPE_CHECKING:
    from mbanalyze.trace.tracer import Module


def pop_keywords(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the forward's keyword arguments from `options` and return them.

    Raises:
        InputError: they are not a dict of names.
    """
    keywords = options.pop("kwargs", None)
    if keywords is None:
        return {}
    if not isinstance(keywords, Mapping) or not all(isinstance(name, str) for name in keywords):
        raise InputError(f"kwargs must be a dict of the forward's keyword arguments, not {keywords!r}")
    return dict(keywords)


def valid_inputs(inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the positional inputs, with the sizes of each shape as plain integers.

    Raises:
        InputError: a size is below 1, or the only inputs are numbers or a list that look like a shape.
    """
    if inputs and not keywords:
        _refuse_lookalike(inputs)
    return tuple(_valid_input(place, given) for place, given in enumerate(inputs, 1))


def _refuse_lookalike(inputs: tuple[Any, ...]) -> None:
    """Raise `InputError` for `1, 3, 8, 8`, `[1, 3, 8, 8]` and `(1, 3, 4.5, 4.5)` as the only inputs."""
    if all(map(is_whole, inputs)):
        raise InputError(f"write an input as a shape in parentheses, such as {inputs}; kwargs takes numbers")
    if len(inputs) > 1 or type(inputs[0]) not in (list, tuple) or not inputs[0]:
        return
    (given,) = inputs
    if isinstance(given, list) and is_shape(tuple(given)):
        text = ",".join(map(str, given))
        raise InputError(f"write a shape as {text}, or as {tuple(given)} in Python, instead of {given}")
    if not is_shape(tuple(given)) and all(isinstance(size, int | float | str) for size in given):
        raise InputError(f"an input shape must be whole numbers above 0, not {given!r}")


def _valid_input(place: int, given: Any) -> Any:
    """An input, unchanged unless it is a shape."""
    if not is_shape(given):
        return given
    if not all(size > 0 for size in given):
        raise InputError(
            f"input {place} must be a shape of whole numbers above 0, not {tuple(given)}: "
            "give a tuple that is no shape by name, in kwargs"
        )
    return Shape(*given).sizes


def needs_input(module: Module) -> bool:
    """Return True if a forward has a required parameter, or takes only `*args` or `**kwargs`."""
    from mbanalyze.trace.torch_internals import unwrapped

    module = unwrapped(module)
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return True
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return any(each.default is each.empty for each in named) or (bool(parameters) and not named)
