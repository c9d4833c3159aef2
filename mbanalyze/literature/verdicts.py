"""Our verdict on every printed figure, with the arithmetic.

- `exact`: our count at the printed precision, rounded, or cut off where the whole table cuts off.
- `convention`: another way of counting gives it. `data/readings.csv` says which table follows which of
  `rules.RULES`, and on what ground; the figures that the rule fails are listed.
- `erratum`: it is wrong. `data/errata.csv` says of which network it is, or which table contradicts it: by its
  neighbours there, or by what is printed there of the same network.
- `unresolved`: none of these. What it was held against is listed.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, Literal, cast

from mbanalyze import data
from mbanalyze.archs.options import Architecture
from mbanalyze.inputs.parsing import parse_option
from mbanalyze.literature.conventions import OURS, RULES, TRIED, Rule
from mbanalyze.literature.figures import UNITS, Figure, Way, entries

Outcome = Literal["exact", "convention", "erratum", "unresolved"]
OUTCOMES: tuple[Outcome, ...] = ("exact", "convention", "erratum", "unresolved")


class PublishedError(LookupError):
    """A family or variant that nothing is printed about."""


@dataclass(frozen=True, slots=True)
class Where:
    """Some figures: those of one quantity in tables whose source begins so, in rows with these settings.

    A setting is a row's `variant`, `label` or `printed` figure, or an option of its network; an empty one
    says that the row has none.
    """

    tables: str
    quantity: str
    settings: Mapping[str, Any]

    def covers(self, figure: Figure) -> bool:
        """Whether `figure` is one of them."""
        entry = figure.entry
        own = {
            "variant": entry.variant,
            "label": entry.label,
            "printed": figure.printed,
            **entry.options,
        }
        return (
            figure.quantity == self.quantity
            and entry.source.startswith(self.tables)
            and all(str(own.get(name, "")) == str(value) for name, value in self.settings.items())
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A rule that figures follow.

    Attributes:
        ground: why: a statement of the source, or "fits" where it has none and the rule fits all it covers.
        way: how they are printed, where that is not the way of the table.
        digits: their significant digits, where printed zeros say nothing.
    """

    where: Where
    rule: Rule
    ground: str
    way: Way | None = None
    digits: int | None = None

    @property
    def name(self) -> str:
        """The rule's name, and how its value is printed where that is not the table's way."""
        printed = [self.way] if self.way else [f"to {self.digits} digits"] if self.digits else []
        ours = self.rule in OURS.values()
        return ", ".join([*([] if ours and printed else [self.rule.name]), *printed])

    def value(self, figure: Figure) -> int | None:
        """What the rule gives for the network of `figure`."""
        spec = figure.entry.spec
        return None if spec is None else self.rule.of(spec)

    def fits(self, figure: Figure, way: Way) -> bool:
        """Whether that is what is printed, in a table of this way."""
        value = self.value(figure)
        return value is not None and figure.fits(value, self.way or way, self.digits)


@dataclass(frozen=True, slots=True)
class Erratum:
    """Why figures that no reading fits are wrong.

    Attributes:
        network: options that, in place of the row's own, make the network that the figure is of.
        neighbours: the table whose figures at other resolutions contradict it, or "".
        contradicted_by: the table that prints another figure of the same network, which is exact, or "".
    """

    where: Where
    network: Mapping[str, Any]
    neighbours: str
    contradicted_by: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What we say of a printed figure.

    Attributes:
        computed: our count of its network, or None where the source does not define one.
        rule: how the figure comes about, or None where that is not known.
        arithmetic: one line that shows it.
    """

    figure: Figure
    computed: int | None
    outcome: Outcome
    rule: str | None
    arithmetic: str

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a flat record."""
        entry = self.figure.entry
        return {
            "family": entry.family,
            "variant": entry.variant,
            "options": dict(entry.options),
            "figure": self.figure.quantity,
            "printed": self.figure.printed,
            "unit": self.figure.unit,
            "computed": self.computed,
            "verdict": self.outcome,
            "rule": self.rule,
            "arithmetic": self.arithmetic,
            "source": entry.source,
        }


class Verdicts(tuple[Verdict, ...]):
    """Some verdicts: a tuple that shows itself as their tables, at a prompt and in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        from mbanalyze.display.tables import plain
        from mbanalyze.literature.view import table

        return plain(table(self))

    def _repr_html_(self) -> str:
        from mbanalyze.literature.view import html

        return html(self)


def _rows(name: str) -> Iterator[tuple[Where, dict[str, str]]]:
    """Rows of a package file, each with the figures that it is about."""
    for row in data.read_table(name):
        yield Where(row["tables"], row["quantity"], _settings(row["where"])), row


def _settings(text: str) -> dict[str, Any]:
    return dict(map(parse_option, text.split()))


@functools.cache
def readings() -> tuple[Reading, ...]:
    """Which figures follow another rule than ours."""
    return tuple(
        Reading(
            where,
            RULES[where.quantity, row["rule"]],
            row["ground"],
            cast("Way", row["way"]) or None,
            int(row["digits"]) if row["digits"] else None,
        )
        for where, row in _rows("readings.csv")
    )


@functools.cache
def errata() -> tuple[Erratum, ...]:
    """The causes of wrong figures."""
    return tuple(
        Erratum(where, _settings(row["network"]), row["neighbours"], row["contradicted_by"])
        for where, row in _rows("errata.csv")
    )


@functools.cache
def _tables() -> dict[tuple[str, str], tuple[Figure, ...]]:
    """The figures that should be consistent with one another, by table and quantity."""
    tables: dict[tuple[str, str], tuple[Figure, ...]] = {}
    for entry in entries():
        for figure in entry.figures:
            tables[figure.table] = (*tables.get(figure.table, ()), figure)
    return tables


def _ours(figure: Figure) -> Reading:
    return Reading(Where(figure.entry.source, figure.quantity, {}), OURS[figure.quantity], "")


def _declared(figure: Figure) -> list[Reading]:
    """What `readings` has for it; our own where it has nothing."""
    return [reading for reading in readings() if reading.where.covers(figure)] or [_ours(figure)]


def _reading(figure: Figure, way: Way) -> Reading | None:
    """What gives the printed figure: our rule, or one of those declared for it."""
    candidates = [_ours(figure), *_declared(figure)]
    return next((reading for reading in candidates if reading.fits(figure, way)), None)


@functools.cache
def cuts_off(table: tuple[str, str]) -> bool:
    """Whether a table cuts off throughout.

    All that rounding explains, cutting off does too, and at least two other figures.
    """
    explained: dict[Way, set[str]] = {
        way: {f.printed for f in _tables().get(table, ()) if any(r.fits(f, way) for r in _declared(f))}
        for way in ("rounded", "cut off")
    }
    more = explained["cut off"] - explained["rounded"]
    return explained["rounded"] < explained["cut off"] and len(more) > 1


def way_of(figure: Figure) -> Way:
    """How the table of `figure` prints its counts."""
    return "cut off" if cuts_off(figure.table) else "rounded"


def verdicts(name: str | None = None) -> Verdicts:
    """The verdict on every figure, or on those of one family or variant, table by table.

    Raises:
        PublishedError: nothing is printed about `name`.
    """
    found = Verdicts(
        verdict for verdict in _all() if name in (None, (entry := verdict.figure.entry).family, entry.variant)
    )
    if not found:
        families = sorted({entry.family for entry in entries()})
        near = difflib.get_close_matches(str(name), [*families, *{entry.variant for entry in entries()}])
        hint = f"nearest are {', '.join(near)}; " if near else ""
        raise PublishedError(f"no figure of {name!r} is known: {hint}families are {', '.join(families)}")
    return found


@functools.cache
def _all() -> tuple[Verdict, ...]:
    return tuple(_judge(figure) for table in _tables().values() for figure in table)


def _judge(figure: Figure) -> Verdict:
    spec, way = figure.entry.spec, way_of(figure)
    if spec is None:
        return Verdict(figure, None, "unresolved", None, f"nothing to compute: {figure.entry.undefined}")
    computed = OURS[figure.quantity].of(spec)
    reading = _reading(figure, way)
    if reading is not None and reading.ground:
        return Verdict(figure, computed, "convention", reading.name, _by_convention(figure, reading))
    if reading is not None:
        return Verdict(figure, computed, "exact", way, _shown(figure, computed, way))
    for rule, arithmetic in _wrong(figure):
        return Verdict(figure, computed, "erratum", rule, arithmetic)
    return Verdict(figure, computed, "unresolved", None, _unresolved(figure, spec))


def _shown(figure: Figure, count: int, way: Way, digits: int | None = None) -> str:
    printed = f"{figure.printed} {figure.unit}"
    if digits is None and figure.of(count, way) == Decimal(count).scaleb(-UNITS[figure.unit]):
        return f"{count:,} is {printed}"
    return f"{count:,} is {way} to {printed}"


def _spec(figure: Figure) -> Architecture:
    spec = figure.entry.spec
    assert spec is not None
    return spec


def _by_convention(figure: Figure, reading: Reading) -> str:
    way = reading.way or way_of(figure)
    value, ours = reading.rule.of(_spec(figure)), OURS[figure.quantity].of(_spec(figure))
    counted = "" if value == ours else f", as counted {ours:,}"
    shown = _shown(figure, value, way, reading.digits)
    return f"{reading.rule.name}: {shown}{counted} ({_ground(figure, reading, way)})"


def _ground(figure: Figure, reading: Reading, way: Way) -> str:
    """Why the rule holds, and what it fails: of the figures it covers, or where no source says so, of all."""
    table = [f for f in _tables()[figure.table] if f.entry.spec]
    stated = reading.ground != "fits"
    judged = [f for f in table if not stated or reading.where.covers(f)]
    failed = dict.fromkeys(f"{f.printed} {f.unit}" for f in judged if not reading.fits(f, way))
    ground = reading.ground
    if not stated:
        fits = sum(reading.where.covers(f) and reading.fits(f, way) for f in table)
        of = " ".join(f"{name}={value}" for name, value in reading.where.settings.items())
        fitted = f"all {fits}" if fits > 1 else "the only one"
        ground = f"no source says so, but it fits {fitted}" + f" of {of}" * bool(of)
    return f"{ground}; it fails {', '.join(failed)}" if failed else ground


def _wrong(figure: Figure) -> Iterator[tuple[str, str]]:
    """Why `figure` is wrong, as a rule and its arithmetic; nothing if that cannot be shown."""
    for erratum in errata():
        if erratum.where.covers(figure):
            yield from _other(figure, erratum) if erratum.network else ()
            yield from _neighbours(figure, erratum) if erratum.neighbours else ()
            yield from _contradicted(figure, erratum) if erratum.contradicted_by else ()


def _contradicted(figure: Figure, erratum: Erratum) -> Iterator[tuple[str, str]]:
    """Elsewhere another figure is printed of the same network, and that one is exact."""
    ours = OURS[figure.quantity].of(_spec(figure))
    for other in _tables()[erratum.contradicted_by, figure.quantity]:
        if other.entry.spec == figure.entry.spec and other.fits(ours) and not figure.fits(ours):
            exact = f"{_shown(other, ours, 'rounded')}, as {other.entry.source} prints"
            printed = f"{figure.printed} {figure.unit}"
            yield f"{other.entry.source} contradicts it", f"{exact}; {printed} is {_rivals(figure)}"
            return


def _rivals(figure: Figure) -> str:
    """Which of the usual rules would give the figure, and how printed; the first three."""
    spec = _spec(figure)
    ways: tuple[Way, ...] = ("rounded", "cut off", "rounded up")
    found = (
        f"{rule.name} {way}"
        for rule in TRIED[figure.quantity]
        for way in ways
        if figure.fits(rule.of(spec), way)
    )
    return ", ".join(islice(found, 3))


def _other(figure: Figure, erratum: Erratum) -> Iterator[tuple[str, str]]:
    """The figure is that of the network of `erratum`."""
    network = " ".join(f"{name}={value}" for name, value in erratum.network.items())
    way, spec = way_of(figure), _spec(figure)
    for rule in (reading.rule for reading in _declared(figure)):
        other = rule.of(replace(spec, **erratum.network))
        if figure.fits(other, way):
            shown = _shown(figure, other, way)
            yield f"that of {network}", f"with {network}, {shown}; this network has {rule.of(spec):,}"


def _neighbours(figure: Figure, erratum: Erratum) -> Iterator[tuple[str, str]]:
    """The table's figures at the next resolutions, scaled by their square, contradict it and bear us out."""
    here, ours = _spec(figure).resolution, OURS[figure.quantity].of(_spec(figure))
    alike = Where(
        erratum.neighbours,
        figure.quantity,
        {"variant": figure.entry.variant, "alpha": figure.entry.options["alpha"]},
    )
    others = {
        _spec(f).resolution: f for f in _tables()[erratum.neighbours, figure.quantity] if alike.covers(f)
    }
    below, above = max(r for r in others if r < here), min(r for r in others if r > here)
    scaled = {r: [_scaled(others[r], here / r, end) for end in (-1, 0, 1)] for r in (below, above)}
    low, high = min(map(min, scaled.values())), max(map(max, scaled.values()))
    if low <= ours <= high and not low <= _scaled(figure, 1, 0) <= high:
        shown = " and ".join(
            f"{others[r].printed} {figure.unit} at {r} px gives {by[1] / 1e6:.1f} M"
            for r, by in scaled.items()
        )
        yield "its neighbours contradict it", f"by the square of the resolution, {shown}; computed {ours:,}"


def _scaled(figure: Figure, ratio: float, end: int) -> float:
    """A printed figure, or the `end` of what rounds to it, at a resolution `ratio` times its own."""
    step = 10.0 ** int(Decimal(figure.printed).as_tuple().exponent)
    unit = 10.0 ** UNITS[figure.unit]
    return (float(figure.printed) + end * step / 2) * unit * ratio**2


def _unresolved(figure: Figure, spec: Architecture) -> str:
    """What the figure was held against, and what is printed of the same network elsewhere."""
    rules = [*TRIED[figure.quantity], *(reading.rule for reading in _declared(figure))]
    tried = ", ".join(f"{name} {value:,}" for name, value in {r.name: r.of(spec) for r in rules}.items())
    elsewhere = {
        f"{f.printed} {f.unit}": f.entry.source
        for table in reversed(_tables().values())
        for f in reversed(table)
        if f.quantity == figure.quantity and f.printed != figure.printed
        if f.entry.spec == spec and _reading(f, way_of(f)) is not None
    }
    rivals = _rivals(figure)
    return "; ".join(
        [
            *[figure.entry.remark] * bool(figure.entry.remark),
            *[f"what would give it, without support: {rivals}"] * bool(rivals),
            f"tried: {tried}",
            *(f"{source} prints {n}" for n, source in elsewhere.items()),
        ]
    )
