"""What every variant of a factory costs: each is made and traced, in this process or by an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import replace
from typing import Any

from mbanalyze.inputs.parsing import spell_options
from mbanalyze.inputs.typed import InputError, Typed, is_shape
from mbanalyze.sources.resolve import count, resolve


class VariantError(ValueError):
    """A variant that makes no network, or whose trace failed."""


Job = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""What `count` takes: a factory, inputs and options."""


def own_resolution(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> int:
    """The side of the image that a factory's networks take, in pixels.

    Raises:
        InputError: they take none, or one that is not square.
    """
    given = _inputs(inputs, options)
    if not given:
        known = resolve(what, **options)
        given = _inputs(known.inputs, {"kwargs": known.keywords})
    sides = {_image(shape)[-2:] for shape in given if _image(shape)}
    if len(sides) != 1 or len(set(*sides)) != 1:
        raise InputError("rho is a fraction of a square image: give resolution instead")
    return int(next(iter(sides))[0])


def job(what: Any, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Job:
    """How a variant is counted; a `resolution` resizes the images among its inputs.

    Raises:
        InputError: there is no image among the inputs.
    """
    given = _inputs(inputs, options)
    if "resolution" not in options or not given:
        return what, inputs, dict(options)
    rest = {name: value for name, value in options.items() if name != "resolution"}
    side = options["resolution"]
    if not any(map(_image, given)):
        raise InputError("resolution resizes an image n,c,h,w, and there is none among the inputs")
    if rest.get("kwargs"):
        rest["kwargs"] = {name: _resized(value, side) for name, value in rest["kwargs"].items()}
    return what, tuple(_resized(value, side) for value in inputs), rest


def _inputs(inputs: tuple[Any, ...], options: Mapping[str, Any]) -> list[Any]:
    """All that the forward takes, by position and by name."""
    return [*inputs, *(options.get("kwargs") or {}).values()]


def totals(
    jobs: Sequence[Job], *, executor: Executor | None, progress: Callable[[float], None], drop: bool
) -> list[dict[str, Any] | None]:
    """The totals of each variant, in order, and whether they are `complete`; the first that fails ends it.

    Args:
        drop: one that fails is None instead, unless all do.

    Raises:
        VariantError: one fails; the message names its options.
    """
    futures = [executor.submit(_totals, each) for each in jobs] if executor else []
    outcomes = (future.result() for future in as_completed(futures)) if executor else map(_totals, jobs)
    found = []
    try:
        for outcome in outcomes:
            if isinstance(outcome, VariantError) and not drop:
                raise outcome
            found.append(outcome)
            progress(len(found) / len(jobs))
    finally:
        for future in futures:
            future.cancel()
    found = [future.result() for future in futures] if executor else found
    failed = [outcome for outcome in found if isinstance(outcome, VariantError)]
    if len(failed) == len(found):
        raise failed[0]
    return [None if isinstance(outcome, VariantError) else outcome for outcome in found]


def _totals(each: Job) -> dict[str, Any] | VariantError:
    """The totals of a variant, or why there are none."""
    what, inputs, options = each
    try:
        report = count(what, *inputs, **options)
    except (ValueError, LookupError) as error:
        name = what if isinstance(what, str) else getattr(what, "__name__", repr(what))
        return VariantError(f"{name}{' with ' * bool(options)}{spell_options(options, ' ')}: {error}")
    return {**report.totals.as_dict(report.itemsize), "complete": report.complete}


def _image(given: Any) -> tuple[int, ...]:
    """The shape [n, c, h, w] of an image; empty where `given` is none."""
    shape = given.shape if isinstance(given, Typed) else given
    return tuple(shape) if is_shape(shape) and len(shape) == 4 else ()


def _resized(given: Any, side: int) -> Any:
    shape = _image(given)
    if not shape:
        return given
    resized = (*shape[:2], side, side)
    return replace(given, shape=resized) if isinstance(given, Typed) else resized
