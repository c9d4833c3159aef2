"""Count every variant of a factory: each is built and traced, in this process, in others or by an executor."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import closing, suppress
from functools import partial
from typing import Any

from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.resolution import Resolution, as_resolution, sides
from mbanalyze.inputs.shape import Shape, positional
from mbanalyze.inputs.typed import InputError, Sizes
from mbanalyze.profiles.predicted_time import predict_time
from mbanalyze.profiles.time_profile import Profile
from mbanalyze.sources.processes import answers
from mbanalyze.sources.references import PACKAGES
from mbanalyze.sources.resolve import count, resolve

TRACE_OPTIONS = ("kwargs", "mode", "real", "keep", "shortcuts")
"""Options of `count` that control the trace, and are not columns of a frame."""


class VariantError(ValueError):
    """A variant that makes no network, or whose trace failed."""


CountArguments = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""The arguments of `count`: a factory, its inputs and its options."""
Totals = dict[str, Any]
"""The totals of a variant by name, its predicted time, and `complete`."""
CountVariant = Callable[[CountArguments], "Totals | VariantError"]
"""A function that counts a variant."""


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
    workers: int | None,
    progress: Callable[[float], None],
    skip_invalid: bool,
    profile: Profile | None = None,
) -> list[dict[str, Any] | None]:
    """Return the totals of each variant, in order, with `complete`; the first failure ends the count.

    Args:
        variants: the arguments of `count` for each variant.
        executor: runs the traces.
        workers: number of processes that run them if there is no executor; None runs them in this process.
        progress: called with the finished fraction, from 0 to 1.
        skip_invalid: return None for a variant that fails, unless all fail.
        profile: the machine whose time is predicted; None for no time.

    Raises:
        VariantError: a variant fails; the message names its options.
    """
    found: dict[int, Totals | VariantError] = {}
    with closing(_results(variants, executor, workers, partial(_totals, profile=profile))) as results:
        for position, result in results:
            if isinstance(result, VariantError) and not skip_invalid:
                raise result
            found[position] = result
            progress(len(found) / len(variants))
    ordered = [found[position] for position in range(len(variants))]
    errors = [result for result in ordered if isinstance(result, VariantError)]
    if len(errors) == len(ordered):
        raise errors[0]
    return [None if isinstance(result, VariantError) else result for result in ordered]


def _results(
    variants: Sequence[CountArguments],
    executor: Executor | None,
    workers: int | None,
    count_one: CountVariant,
) -> Generator[tuple[int, Totals | VariantError]]:
    """The position and result of each variant that ends."""
    if executor:
        return _in_executor(variants, executor, count_one)
    if workers:
        return _in_processes(variants, workers, count_one)
    return (each for each in enumerate(map(count_one, variants)))


def _in_executor(
    variants: Sequence[CountArguments], executor: Executor, count_one: CountVariant
) -> Generator[tuple[int, Totals | VariantError]]:
    positions = {executor.submit(count_one, each): position for position, each in enumerate(variants)}
    try:
        for future in as_completed(positions):
            yield positions[future], future.result()
    finally:
        for future in positions:
            future.cancel()


def _in_processes(
    variants: Sequence[CountArguments], workers: int, count_one: CountVariant
) -> Generator[tuple[int, Totals | VariantError]]:
    for each in variants:
        require_sendable(each)
    package = str(variants[0][0]).partition(":")[0]
    ended = answers(
        [partial(_answer, each, count_one) for each in variants],
        preload=[package] if package in PACKAGES else [],
        path=sys.path,
        workers=workers,
        reuse=len(variants),
        show=True,
    )
    for position, answer in ended:
        value = (
            {"error": f"{_spelled(variants[position])}: {answer.problem}"} if answer.problem else answer.value
        )
        yield position, VariantError(value["error"]) if "error" in value else value


def require_sendable(arguments: CountArguments) -> None:
    """Raise `VariantError` if a process cannot get the arguments, or has another `__main__` than they need."""
    try:
        if b"__main__" not in pickle.dumps(arguments):
            return
    except (pickle.PicklingError, AttributeError, TypeError):
        pass
    raise VariantError(
        f"{_spelled(arguments)} has a value that no other process can import: leave out the number of workers"
    )


def _answer(arguments: CountArguments, count_one: CountVariant) -> dict[str, Any]:
    """The totals of a variant, or its error as text."""
    found = count_one(arguments)
    return {"error": str(found)} if isinstance(found, VariantError) else found


def _totals(arguments: CountArguments, profile: Profile | None) -> Totals | VariantError:
    """The totals of a variant, or the error that it raises."""
    what, inputs, options = arguments
    try:
        report = count(what, *inputs, **options)
        times = predict_time(report.ops, profile).total._asdict() if profile else {}
    except (ValueError, LookupError) as error:
        variant, message = _spelled(arguments), str(error)
        return VariantError(message if message.startswith(variant) else f"{variant}: {message}")
    return {**report.total_counts(), **times, "complete": report.complete}


def _spelled(arguments: CountArguments) -> str:
    """The reference of a variant."""
    what, _, options = arguments
    return spell_reference(what if isinstance(what, str) else getattr(what, "__name__", repr(what)), options)


def _image_shape(given: Any) -> tuple[int, ...]:
    """The sizes [n, c, h, w] if `given` is the shape of an image, else an empty tuple."""
    return given.sizes if isinstance(given, Shape) and len(given.sizes) == 4 else ()


def _resized(given: Any, image: tuple[int, int]) -> Any:
    """The shape of an image with this height and width; any other input is unchanged."""
    sizes = _image_shape(given)
    return given.resized(*sizes[:2], *image) if sizes else given
