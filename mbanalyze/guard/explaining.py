"""Why a guarded model costs more than it may, and which width or resolution would fit again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

from mbanalyze.archs.builder import ShapeError
from mbanalyze.archs.options import Architecture, OptionError
from mbanalyze.guard.judging import TOTAL, Judged
from mbanalyze.guard.limits import UNUSED
from mbanalyze.guard.measuring import Measured, beside, subject_of
from mbanalyze.guard.places import Place, factory, places_of
from mbanalyze.guard.policy import Policy
from mbanalyze.inputs.parsing import parse_input
from mbanalyze.report.network import Report
from mbanalyze.report.rows import rows
from mbanalyze.sources.resolve import count
from mbanalyze.sweep.traced import count_arguments, default_resolution

WIDTHS = ("alpha", "width_mult", "width_multiplier", "multiplier", "width")
"""What factories call the width multiplier, or a number of channels that all others follow from."""
FINEST = 0.01
"""The step in which a width multiplier is tried."""
STEPS = (32, 8)
"""The steps in which a resolution is tried, in pixels; the second where the first finds nothing."""
TRIES = 200
"""So many variants are counted for one option at most."""


@dataclass(frozen=True, slots=True)
class Share:
    """A layer's part in what a model costs more.

    Attributes:
        path, kind: of the layer.
        amount: by how much its count grew; where none grew, the count.
        share: of all that grew, from 0 to 1.
        place: the line of source that it comes from.
    """

    path: str
    kind: str
    amount: int | float
    share: float
    place: Place


@dataclass(frozen=True, slots=True)
class Cause:
    """A total that is more than it may be, and which layers make it so.

    Attributes:
        metric: which total.
        before, after, limit: what it was, is, and may be at most.
        grew: whether `shares` are of its growth, and not of all of it.
        shares: the largest first.
    """

    metric: str
    before: int | float | None
    after: int | float | None
    limit: int | float | None
    grew: bool
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A value of one option with which a model would be within all its limits.

    Attributes:
        option: `alpha` or `resolution`, or what the factory calls it.
        now, value: what it is, and would be.
        totals: what the model would cost.
    """

    option: str
    now: float
    value: float
    totals: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is to be said of one model.

    Attributes:
        judged: its verdict.
        causes: the totals that fail, or the counts of layers where the totals do not.
        remedies: what would fit; nothing where no option of it is known, or none does.
        tried: the options that were tried.
    """

    judged: Judged
    causes: tuple[Cause, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    tried: tuple[str, ...] = ()

    def __repr__(self) -> str:
        from mbanalyze.guard.formats.explanation import TOP, as_text

        return as_text([self], TOP)

    def _repr_html_(self) -> str:
        from mbanalyze.guard.formats.explanation import html

        return html(self)


def explain(judged: Judged, policy: Policy) -> Explanation:
    """Why a model fails, if it does."""
    if judged.measured is None or judged.measured.facts is None:
        return Explanation(judged)
    failing = [change for change in judged.failing if change.kind == TOTAL]
    metrics = dict.fromkeys(change.metric for change in failing or judged.failing)
    causes = tuple(_cause(judged, judged.measured, metric, policy) for metric in metrics)
    limits: dict[str, float] = {}
    for change in failing:
        comparable = judged.verdict != "not comparable" or change.verdict == "over budget"
        if change.limit is not None and comparable:
            limits[change.metric] = min(change.limit, limits.get(change.metric, change.limit))
    with beside(policy):
        options = list(_options(judged.measured)) if limits else []
        found = [_remedy(name, now, tries, limits) for name, now, tries in options]
    return Explanation(judged, causes, tuple(filter(None, found)), tuple(name for name, _, _ in options))


def _cause(judged: Judged, measured: Measured, metric: str, policy: Policy) -> Cause:
    about = [change for change in judged.changes if change.metric == metric]
    total = next((change for change in about if change.kind == TOTAL), None)
    grown = [change for change in about if change.kind != TOTAL and change.growth > 0]
    parts = [(c.path, c.kind, c.growth) for c in grown] or _all(measured, metric)
    whole = sum(amount for _, _, amount in parts)
    places = places_of(measured, policy, [path for path, _, _ in parts])
    shares = (Share(path, kind, amount, amount / whole, places[path]) for path, kind, amount in parts)
    return Cause(
        metric,
        judged.before.totals.get(metric) if judged.before else None,
        measured.facts.totals[metric] if measured.facts else None,
        total.limit if total else None,
        bool(grown),
        tuple(sorted(shares, key=lambda share: -share.amount)),
    )


def _all(measured: Measured, metric: str) -> list[tuple[str, str, int | float]]:
    """Every layer with what it has of a total, which is nothing of one that is no sum."""
    if metric in (UNUSED, "arithmetic_intensity"):
        return []
    layers = measured.facts.layers if measured.facts else ()
    counts = [(layer.path, layer.kind, layer.counts.get(metric) or 0) for layer in layers]
    return [part for part in counts if part[2]]


Tries = Iterator[tuple[float, Report]]


def _options(measured: Measured) -> Iterator[tuple[str, float, Tries]]:
    """The options that make a model smaller: what they are, and the model with smaller values, largest first."""
    subject = measured.subject
    if subject is not None and subject.spec is not None:
        yield from _options_of(
            subject.spec, subject.inputs[0][0], str(measured.model.settings.get("dtype", "float32"))
        )
        return
    width = _width(measured)
    if width:
        yield *width, _narrower(measured, *width)
    with suppress(ValueError, LookupError):
        given = [parse_input(text) for text in measured.model.inputs]
        if given and all(name is None for name, _ in given):
            shapes = tuple(shape for _, shape in given)
            side = default_resolution(measured.model.source, shapes, {})
            yield "resolution", side, _smaller_images(measured, shapes, side)


def _options_of(spec: Architecture, batch: int, dtype: str) -> Iterator[tuple[str, float, Tries]]:
    declared = {each.name: each for each in fields(spec)}
    if "alpha" in declared:
        now: float = spec.alpha  # type: ignore[attr-defined]
        choices = declared["alpha"].metadata["choices"] or _steps_down(now)
        yield (
            "alpha",
            now,
            _variants(spec, batch, dtype, "alpha", sorted((a for a in choices if a < now), reverse=True)),
        )
    yield "resolution", spec.resolution, _variants(spec, batch, dtype, "resolution", _sides(spec.resolution))


def _variants(
    spec: Architecture, batch: int, dtype: str, option: str, values: list[float] | list[int]
) -> Tries:
    for value in values:
        with suppress(OptionError, ShapeError):
            ops = replace(spec, **{option: value}).ops(batch)
            yield value, Report("", {}, (), "closed-form", rows(ops), dtype)


def _width(measured: Measured) -> tuple[str, float] | None:
    """The width multiplier of a factory, by its name there."""
    known = dict(measured.model.options)
    with suppress(TypeError, ValueError):
        declared = inspect.signature(factory(measured)).parameters.values()
        known = {each.name: each.default for each in declared} | known
    found = ((name, known[name]) for name in WIDTHS if name in known)
    return next(
        ((n, float(v)) for n, v in found if isinstance(v, int | float) and not isinstance(v, bool)), None
    )


def _narrower(measured: Measured, option: str, now: float) -> Tries:
    """The model with smaller widths; of channels, whole ones."""
    channels = list(range(int(now) - 1, 0, -1))[:TRIES]
    for value in channels if option == "width" and now > 1 else _steps_down(now):
        with suppress(ValueError, LookupError):
            model = replace(measured.model, options={**measured.model.options, option: value})
            yield value, subject_of(model).report(**model.settings)


def _smaller_images(measured: Measured, shapes: tuple[Any, ...], side: int) -> Tries:
    """The model on smaller images."""
    assert measured.subject is not None
    for value in _sides(side):
        with suppress(ValueError, LookupError):
            what, inputs, _ = count_arguments(measured.subject.module, shapes, {"resolution": value})
            yield value, count(what, *inputs, **measured.model.settings)


def _steps_down(now: float) -> list[float]:
    """Multiples of the finest step below `now`, the largest first."""
    steps = int(now / FINEST + 1e-9)
    return [round(i * FINEST, 2) for i in range(steps, 0, -1) if round(i * FINEST, 2) < now][:TRIES]


def _sides(now: int) -> list[int]:
    """Smaller resolutions: in large steps first, then in small ones."""
    return [side for step in STEPS for side in range((now - 1) // step * step, 0, -step)][:TRIES]


def _remedy(option: str, now: float, tries: Tries, limits: Mapping[str, float]) -> Remedy | None:
    """The first that is within the limits."""
    for value, report in tries:
        totals = report.totals.as_dict(report.itemsize)
        if all(totals[metric] is not None and totals[metric] <= most for metric, most in limits.items()):  # type: ignore[operator]
            return Remedy(option, now, value, totals)
    return None
