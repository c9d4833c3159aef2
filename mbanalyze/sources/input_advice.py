"""Advice on inputs that a model does not take, or with which its forward fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mbanalyze.inputs.input_text import spell_input
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import as_resolution, spell_resolution
from mbanalyze.inputs.shape import Shape
from mbanalyze.inputs.typed import is_shape, is_whole

Trace = Callable[[tuple[Any, ...], Mapping[str, Any]], object]
"""Traces a forward with these inputs, by position and by name; raises a `ValueError` or `LookupError` if it fails."""


def advise(
    inputs: tuple[Any, ...], keywords: Mapping[str, Any], trace: Trace, *, training: bool = False
) -> str:
    """Return the change of the inputs that lets a failing forward run; "" if none is found.

    A list or tuple of whole numbers may become a shape, and shapes may gain a batch dimension. In training mode,
    a batch of one may become larger, because a batch norm needs several values for each channel.
    """
    changes: list[tuple[Callable[[Any], Any], str]] = [
        (_as_shape, "write a shape as {}, or as a Shape(...) in Python"),
        (_with_batch, "the batch dimension seems to be missing: give {}"),
    ]
    if training:
        changes.append((_with_two, "give a larger batch, such as {}"))
    for change, advice in changes:
        by_place = tuple(map(change, inputs))
        by_name = {name: change(value) for name, value in keywords.items()}
        given = [*((None, value) for value in inputs), *keywords.items()]
        named = [*((None, value) for value in by_place), *by_name.items()]
        changed = [after for before, after in zip(given, named, strict=True) if before[1] is not after[1]]
        if changed and _runs(trace, by_place, by_name):
            return advice.format(" and ".join(spell_input(name, value) for name, value in changed))
    return ""


def shape_refused(name: str, inputs: Sequence[Any]) -> str:
    """Return the error for inputs of an architecture; it spells an image as options."""
    error = f"{name} takes its input from resolution and batch, not as a shape"
    shape = inputs[0] if len(inputs) == 1 else None
    sizes = Shape(*shape).sizes if is_shape(shape) else getattr(shape, "sizes", ())
    if len(sizes) != 4:
        return error
    batch, channels, *sides = sizes
    options = {"resolution": spell_resolution(as_resolution(sides))}
    options |= ({"in_channels": channels} if channels != 3 else {}) | ({"batch": batch} if batch != 1 else {})
    return f"{error}: write {spell_reference(name, options)}"


def _runs(trace: Trace, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
    try:
        trace(inputs, keywords)
    except (ValueError, LookupError):
        return False
    return True


def _as_shape(given: Any) -> Any:
    """A list or tuple of whole numbers that is no shape as one; any other input unchanged."""
    numbers = isinstance(given, list | tuple) and not isinstance(given, Shape) and bool(given)
    if numbers and all(is_whole(size) and size > 0 for size in given):
        return Shape(*given)
    return given


def _with_batch(given: Any) -> Any:
    """A shape with a batch of one in front; any other input unchanged."""
    shape = Shape(*given) if is_shape(given) else given
    return shape.resized(1, *shape.sizes) if isinstance(shape, Shape) and shape.sizes else given


def _with_two(given: Any) -> Any:
    """A shape whose batch is one with a batch of two; any other input unchanged."""
    shape = Shape(*given) if is_shape(given) else given
    if isinstance(shape, Shape) and shape.sizes[:1] == (1,):
        return shape.resized(2, *shape.sizes[1:])
    return given
