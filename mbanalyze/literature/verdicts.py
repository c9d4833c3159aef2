"""The verdict on every published figure, with its arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mbanalyze.archs.options import Architecture
from mbanalyze.conventions.printed_figures import COMMON
from mbanalyze.display.result import ResultSequence
from mbanalyze.inputs.choices import nearest, nearest_are
from mbanalyze.inputs.parsing import spell_options
from mbanalyze.literature.errata import conversion, default_count, proofs, spec_of, unsupported_matches
from mbanalyze.literature.figure_counts import count_by
from mbanalyze.literature.figures import Figure, entries, figures_by_table
from mbanalyze.literature.interpretations import Interpretation, candidates, interpretation_of, rounding_of

if TYPE_CHECKING:
    import pandas as pd

Category = Literal["exact", "convention", "erratum", "unresolved"]
CATEGORIES: tuple[Category, ...] = ("exact", "convention", "erratum", "unresolved")
"""The categories of verdicts.

- `exact`: the count at the printed precision, rounded, or truncated if the whole table truncates.
- `convention`: another way of counting gives the figure; see `interpretations`.
- `erratum`: the figure is wrong, and `errata` has the proof.
- `unresolved`: none of these; the arithmetic lists what was tried.
"""


class PublishedError(LookupError):
    """A family or variant without published figures."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a printed figure.

    Attributes:
        figure: the figure.
        computed: the count of its network, or None if the source does not define one.
        category: one of `CATEGORIES`.
        rule: the rounding, convention or cause of the error that explains the figure; None if unresolved.
        arithmetic: one line that shows it.
    """

    figure: Figure
    computed: int | None
    category: Category
    rule: str | None
    arithmetic: str

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as a flat record."""
        entry = self.figure.entry
        return {
            "family": entry.family,
            "variant": entry.variant,
            "options": dict(entry.options),
            "figure": self.figure.quantity,
            "printed": self.figure.printed,
            "unit": self.figure.unit,
            "computed": self.computed,
            "verdict": self.category,
            "rule": self.rule,
            "arithmetic": self.arithmetic,
            "source": entry.source,
        }


@dataclass(frozen=True, repr=False)
class Verdicts(ResultSequence[Verdict]):
    """Verdicts on figures, displayed as a table for each source."""

    json_key: ClassVar[str] = "verdicts"

    items: tuple[Verdict, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the records under the key `verdicts`."""
        return {"verdicts": self.records()}

    def records(self) -> list[dict[str, Any]]:
        """Return one record for each figure."""
        return [verdict.as_dict() for verdict in self]

    def frame(self) -> pd.DataFrame:
        """Return the records as a pandas DataFrame; `computed` has nullable integers."""
        return super().frame().astype({"computed": "Int64"})


def published(family: str | None = None, *, progress: Callable[[float], None] | None = None) -> Verdicts:
    """Return the verdict on every published figure, table by table.

    Args:
        family: a family (`mobilenet`) or a variant (`mobilenet_v2`); all families by default.
        progress: callback for the fraction of the figures with a verdict, from 0 to 1.

    Raises:
        PublishedError: no figure of `family` is published.
    """
    figures = [figure for table in figures_by_table().values() for figure in table]
    found = [f for f in figures if family in (None, f.entry.family, f.entry.variant)]
    if not found:
        families = sorted({entry.family for entry in entries()})
        names = list(dict.fromkeys([*families, *(entry.variant for entry in entries())]))
        near = nearest_are(nearest(family, names))
        hint = f"{near}; " if near else ""
        raise PublishedError(f"no figure of {family!r} is known: {hint}families are {', '.join(families)}")
    verdicts = []
    for done, figure in enumerate(found, 1):
        verdicts.append(_verdict(figure))
        if progress:
            progress(done / len(found))
    return Verdicts(tuple(verdicts))


@functools.cache
def _verdict(figure: Figure) -> Verdict:
    spec = figure.entry.spec
    if spec is None:
        return Verdict(figure, None, "unresolved", None, f"network not defined: {figure.entry.undefined}")
    count, rounding = default_count(figure), rounding_of(figure)
    if figure.matches(count, rounding):
        return Verdict(figure, count, "exact", rounding, conversion(figure, count, rounding))
    interpretation = interpretation_of(figure)
    if interpretation is not None:
        arithmetic = _conventional(figure, interpretation)
        return Verdict(figure, count, "convention", interpretation.name, arithmetic)
    proof = next(proofs(figure), None)
    if proof is not None:
        return Verdict(figure, count, "erratum", proof.rule, proof.arithmetic)
    return Verdict(figure, count, "unresolved", None, _unresolved(figure, spec))


def _conventional(figure: Figure, interpretation: Interpretation) -> str:
    """The arithmetic of a figure that follows another convention."""
    rounding = interpretation.rounding or rounding_of(figure)
    value, count = count_by(interpretation.convention, spec_of(figure)), default_count(figure)
    by_default = "" if value == count else f"; as counted: {count:,}"
    steps = conversion(figure, value, rounding, interpretation.digits) + by_default
    return f"{interpretation.convention.name}: {steps} ({_evidence(figure, interpretation)})"


def _evidence(figure: Figure, interpretation: Interpretation) -> str:
    """The evidence for a convention, and the figures that contradict it.

    A convention that no source states is compared with all figures of the table, others with their scope.
    """
    table = [other for other in figures_by_table()[figure.table] if other.entry.spec]
    covered = [other for other in table if interpretation.scope.covers(other)]
    rounding = interpretation.rounding or rounding_of(figure)
    compared = covered if interpretation.evidence else table
    failed = dict.fromkeys(str(other) for other in compared if not interpretation.matches(other, rounding))
    evidence = interpretation.evidence or _match(interpretation, len(covered))
    return f"{evidence}; it does not match {', '.join(failed)}" if failed else evidence


def _match(interpretation: Interpretation, figures: int) -> str:
    """The evidence for a convention that no source states: it matches all figures in its scope."""
    matched = f"all {figures} figures" if figures > 1 else "the only figure"
    scope = spell_options(interpretation.scope.settings, " ")
    return f"no source states this, but it matches {matched}" + f" with {scope}" * bool(scope)


def _unresolved(figure: Figure, spec: Architecture) -> str:
    """The arithmetic of an unresolved figure: conventions tried, and figures that other tables print."""
    conventions = [*COMMON[figure.quantity], *(known.convention for known in candidates(figure))]
    counts = {convention.name: count_by(convention, spec) for convention in conventions}
    tried = ", ".join(f"{count:,} ({name})" for name, count in counts.items())
    parts = [figure.entry.remark, unsupported_matches(figure), f"tried: {tried}", *_elsewhere(figure, spec)]
    return "; ".join(filter(None, parts))


def _elsewhere(figure: Figure, spec: Architecture) -> Iterator[str]:
    """Other figures of the same network that are exact or follow a convention, each with its first source."""
    found = {
        str(other): other.entry.source
        for table in reversed(figures_by_table().values())
        for other in reversed(table)
        if other.quantity == figure.quantity and other.printed != figure.printed
        if other.entry.variant == figure.entry.variant  # the others need no network
        if other.entry.spec == spec and interpretation_of(other) is not None
    }
    return (f"{source} prints {printed}" for printed, source in found.items())
