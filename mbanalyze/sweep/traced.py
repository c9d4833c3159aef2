"""Count every variant of a factory: each is built and traced, in this process or by an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import suppress
from typing import Any

from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides
from mbanalyze.inputs.shape import Shape, positional
from mbanalyze.inputs.typed import InputError, Sizes
from mbanalyze.sources.resolve import count, resolve

TRACE_OPTIONS = ("kwargs", "mode", "real", "keep", "shortcuts")
"""Options of `count` that control the trace, and are not columns of a frame."""


class VariantError(ValueError):
    """A variant that makes no network, or whose trace failed."""


CountArguments = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""The arguments of `count`: a factory, its inputs and its options."""


def default_resolution(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Resolution:
    """Return the size of the image that the networks of a factory take, in pixels.

    Raises:
        InputError: there is no image among the inputs, or there are several sizes.
    """
    given = _known_inputs(what, inputs, options)
    images = {_image_shape(each)[-2:] for each in given if _image_shape(each)}
    if len(images) != 1:
        raise InputError("rho is a fraction of the size of one image: give resolution instead")
    return as_resolution(images.pop())


def input_sizes(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[Sizes, ...]:
    """Return the shapes of the tensors that a factory's network takes, without tensors that have values."""
    with suppress(ValueError, LookupError):
        wanted = {name: value for name, value in options.items() if name != "rho"}
        return tuple(each.sizes for each in _known_inputs(what, inputs, wanted) if isinstance(each, Shape))
    return ()


def _known_inputs(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> list[Any]:
    """The inputs that are given, or else those that the factory's package publishes."""
    if given := _all_inputs(inputs, options):
        return given
    known = resolve(what, **options)
    return _all_inputs(known.inputs, {"kwargs": known.keywords})


def count_arguments(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> CountArguments:
    """Return the arguments of `count` for a variant; a `resolution` resizes the images among its inputs.

    Raises:
        InputError: a resolution is malformed, or is given and there is no image among the inputs.
    """
    given = _all_inputs(inputs, options)
    if "resolution" not in options or not given:
        return what, inputs, dict(options)
    rest = {name: value for name, value in options.items() if name != "resolution"}
    image = sides(as_resolution(options["resolution"]))
    if not any(map(_image_shape, given)):
        raise InputError("resolution needs an image input n,c,h,w, and none of the inputs is one")
    if rest.get("kwargs"):
        rest["kwargs"] = {name: _resized(value, image) for name, value in rest["kwargs"].items()}
    return what, tuple(_resized(positional(value), image) for value in inputs), rest


def _all_inputs(inputs: tuple[Any, ...], options: Mapping[str, Any]) -> list[Any]:
    """The inputs of the forward, by position and by name."""
    return [*map(positional, inputs), *(options.get("kwargs") or {}).values()]


def trace_variants(
    variants: Sequence[CountArguments],
    *,
    executor: Executor | None,
    progress: Callable[[float], None],
    skip_invalid: bool,
) -> list[dict[str, Any] | None]:
    """Return the totals of each variant, in order, with `complete`; the first failure ends the count.

    Args:
        variants: the arguments of `count` for each variant.
        executor: runs the traces; None runs them in this process.
        progress: called with the finished fraction, from 0 to 1.
        skip_invalid: return None for a variant that fails, unless all fail.

    Raises:
        VariantError: a variant fails; the message names its options.
    """
    futures = [executor.submit(_totals, each) for each in variants] if executor else []
    results = (future.result() for future in as_completed(futures)) if executor else map(_totals, variants)
    found = []
    try:
        for result in results:
            if isinstance(result, VariantError) and not skip_invalid:
                raise result
            found.append(result)
            progress(len(found) / len(variants))
    finally:
        for future in futures:
            future.cancel()
    found = [future.result() for future in futures] if executor else found
    errors = [result for result in found if isinstance(result, VariantError)]
    if len(errors) == len(found):
        raise errors[0]
    return [None if isinstance(result, VariantError) else result for result in found]


def _totals(arguments: CountArguments) -> dict[str, Any] | VariantError:
    """The totals of a variant, or the error that it raises."""
    what, inputs, options = arguments
    try:
        report = count(what, *inputs, **options)
    except (ValueError, LookupError) as error:
        name = what if isinstance(what, str) else getattr(what, "__name__", repr(what))
        variant, message = spell_reference(name, options), str(error)
        return VariantError(message if message.startswith(variant) else f"{variant}: {message}")
    return {**report.totals.as_dict(report.itemsize), "complete": report.complete}


def _image_shape(given: Any) -> tuple[int, ...]:
    """The sizes [n, c, h, w] if `given` is the shape of an image, else an empty tuple."""
    return given.sizes if isinstance(given, Shape) and len(given.sizes) == 4 else ()


def _resized(given: Any, image: tuple[int, int]) -> Any:
    """The shape of an image with this height and width; any other input is unchanged."""
    sizes = _image_shape(given)
    return given.resized(*sizes[:2], *image) if sizes else given
