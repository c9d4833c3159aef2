"""Wrong figures, and the proof that each is wrong."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from mbanalyze.archs.options import Architecture
from mbanalyze.conventions.printed_figures import AS_COUNTED, COMMON
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.inputs.resolution import sides
from mbanalyze.literature.figure_counts import count_by
from mbanalyze.literature.figures import ROUNDINGS, UNITS, Figure, Rounding, figures_by_table, settings_of
from mbanalyze.literature.interpretations import Scope, candidates, rounding_of, scoped_rows


@dataclass(frozen=True, slots=True)
class Erratum:
    """The suspected cause of wrong figures; a figure is an erratum only if the proof holds.

    Attributes:
        scope: the figures.
        network: options of another network that has the printed count, or empty.
        neighbours: the table whose figures at other resolutions contradict it, or "".
        contradicted_by: the table that prints the exact figure of the same network, or "".
    """

    scope: Scope
    network: Mapping[str, Any]
    neighbours: str
    contradicted_by: str


class Proof(NamedTuple):
    """The proof that a figure is wrong.

    Attributes:
        rule: the cause, in a few words.
        arithmetic: one line that shows it.
    """

    rule: str
    arithmetic: str


@functools.cache
def errata() -> tuple[Erratum, ...]:
    """Return the causes of wrong figures."""
    return tuple(
        Erratum(scope, settings_of(row["network"]), row["neighbours"], row["contradicted_by"])
        for scope, row in scoped_rows("errata.csv")
    )


def proofs(figure: Figure) -> Iterator[Proof]:
    """Yield the proofs that `figure` is wrong."""
    for erratum in errata():
        if erratum.scope.covers(figure):
            yield from _by_other_network(figure, erratum) if erratum.network else ()
            yield from _by_neighbours(figure, erratum) if erratum.neighbours else ()
            yield from _by_exact_figure(figure, erratum) if erratum.contradicted_by else ()


def _by_other_network(figure: Figure, erratum: Erratum) -> Iterator[Proof]:
    """The printed count belongs to the network of `erratum`."""
    network = spell_options(erratum.network, " ")
    rounding, spec = rounding_of(figure), spec_of(figure)
    for convention in (candidate.convention for candidate in candidates(figure)):
        other = count_by(convention, replace(spec, **erratum.network))
        if figure.matches(other, rounding):
            counts = f"{conversion(figure, other, rounding)}; this network has {count_by(convention, spec):,}"
            yield Proof(f"count with {network}", f"with {network}, {counts}")


def _by_neighbours(figure: Figure, erratum: Erratum) -> Iterator[Proof]:
    """Figures at the next resolutions, scaled by the square, exclude the figure but not the count."""
    here, count = _side(figure), default_count(figure)
    width = {"variant": figure.entry.variant, "alpha": figure.entry.options["alpha"]}
    same_width = Scope(erratum.neighbours, figure.quantity, width)
    table = filter(same_width.covers, figures_by_table()[erratum.neighbours, figure.quantity])
    others = {_side(other): other for other in table}
    below, above = max(r for r in others if r < here), min(r for r in others if r > here)
    scaled = {r: [_scaled(others[r], here / r, end) for end in (-1, 0, 1)] for r in (below, above)}
    low, high = min(map(min, scaled.values())), max(map(max, scaled.values()))
    if low <= count <= high and not low <= _scaled(figure, 1, 0) <= high:
        each = [f"{others[r]} at {r} px gives {ends[1] / 1e6:.1f} M" for r, ends in scaled.items()]
        arithmetic = f"scaled by the square of the resolution, {' and '.join(each)}; computed: {count:,}"
        yield Proof("contradicted by neighbouring resolutions", arithmetic)


def _side(figure: Figure) -> int:
    """The side of the images of a figure's network, which are square."""
    return sides(spec_of(figure).resolution)[0]


def _scaled(figure: Figure, ratio: float, end: int) -> float:
    """A figure, or the lower (-1) or upper (1) end of its rounding interval, scaled to another resolution."""
    step = 10.0 ** int(Decimal(figure.printed).as_tuple().exponent)
    unit = 10.0 ** UNITS[figure.unit]
    return (float(figure.printed) + end * step / 2) * unit * ratio**2


def _by_exact_figure(figure: Figure, erratum: Erratum) -> Iterator[Proof]:
    """Another table prints the exact figure of the same network."""
    count = default_count(figure)
    for other in figures_by_table()[erratum.contradicted_by, figure.quantity]:
        if other.entry.spec == figure.entry.spec and other.matches(count) and not figure.matches(count):
            exact = f"{conversion(other, count, 'rounded')}, as in {other.entry.source}"
            yield Proof(f"contradicted by {other.entry.source}", f"{exact}; {unsupported_matches(figure)}")
            return


def spec_of(figure: Figure) -> Architecture:
    """Return the network of a figure, which has to be defined."""
    spec = figure.entry.spec
    assert spec is not None
    return spec


def default_count(figure: Figure) -> int:
    """Return the count of the figure's network by the default convention."""
    return count_by(AS_COUNTED[figure.quantity], spec_of(figure))


def conversion(figure: Figure, count: int, rounding: Rounding, digits: int | None = None) -> str:
    """Describe the step from a count to a figure: '568,740,352 is rounded to 569 M'."""
    if digits is None and figure.round(count, rounding) == Decimal(count).scaleb(-UNITS[figure.unit]):
        return f"{count:,} is {figure}"
    return f"{count:,} is {rounding} to {figure}"


def unsupported_matches(figure: Figure) -> str:
    """List up to three common conventions that give the figure although nothing supports them; "" if none."""
    spec = spec_of(figure)
    found = [
        f"{convention.name} ({rounding})"
        for convention in COMMON[figure.quantity]
        for rounding in ROUNDINGS
        if figure.matches(count_by(convention, spec), rounding)
    ]
    return f"{figure} would match without evidence: {', '.join(islice(found, 3))}" if found else ""
