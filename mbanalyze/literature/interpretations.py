"""The convention and the rounding that lead to a printed figure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mbanalyze import data
from mbanalyze.conventions.printed_figures import AS_COUNTED, PRINTED, PrintedConvention
from mbanalyze.literature.figure_counts import count_by
from mbanalyze.literature.figures import Figure, Rounding, TableKey, figures_by_table, settings_of


@dataclass(frozen=True, slots=True)
class Scope:
    """The figures that an interpretation or an erratum applies to.

    Attributes:
        tables: a prefix of their sources.
        quantity: `macs` or `params`.
        settings: the `variant`, `label`, `printed` figure or network options of their rows; an empty value
            selects rows without that setting.
    """

    tables: str
    quantity: str
    settings: Mapping[str, Any]

    def covers(self, figure: Figure) -> bool:
        """Return True if `figure` is in this scope."""
        entry = figure.entry
        if figure.quantity != self.quantity or not entry.source.startswith(self.tables):
            return False
        row = {"variant": entry.variant, "label": entry.label, "printed": figure.printed, **entry.options}
        return all(str(row.get(name, "")) == str(value) for name, value in self.settings.items())


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A convention that figures follow.

    Attributes:
        scope: the figures.
        convention: their way of counting.
        evidence: the statement that supports the convention; "" if no source has one. The convention then has
            to match every figure in the scope.
        rounding: the rounding of the figures, or None for that of their table.
        digits: significant digits, if printed trailing zeros are not significant.
    """

    scope: Scope
    convention: PrintedConvention
    evidence: str
    rounding: Rounding | None = None
    digits: int | None = None

    @property
    def name(self) -> str:
        """The convention, and the rounding if it differs from that of the table."""
        digits = f"{self.digits} significant digits" if self.digits else None
        rounding = self.rounding or digits
        if rounding and self.convention in AS_COUNTED.values():
            return rounding
        return ", ".join(filter(None, [self.convention.name, rounding]))

    def matches(self, figure: Figure, rounding: Rounding) -> bool:
        """Return True if the convention gives `figure`, in a table with this rounding."""
        spec = figure.entry.spec
        if spec is None:
            return False
        return figure.matches(count_by(self.convention, spec), self.rounding or rounding, self.digits)


@functools.cache
def interpretations() -> tuple[Interpretation, ...]:
    """Return the interpretations of figures that do not follow the default convention."""
    return tuple(
        Interpretation(
            scope,
            PRINTED[scope.quantity, row["convention"]],
            row["evidence"],
            cast("Rounding", row["rounding"]) or None,
            int(row["digits"]) if row["digits"] else None,
        )
        for scope, row in scoped_rows("interpretations.csv")
    )


def scoped_rows(name: str) -> Iterator[tuple[Scope, dict[str, str]]]:
    """Yield the rows of a data file, each with its scope."""
    for row in data.read_table(name):
        yield Scope(row["tables"], row["quantity"], settings_of(row["where"])), row


def default_of(figure: Figure) -> Interpretation:
    """Return the interpretation by the default convention."""
    scope = Scope(figure.entry.source, figure.quantity, {})
    return Interpretation(scope, AS_COUNTED[figure.quantity], "")


def candidates(figure: Figure) -> list[Interpretation]:
    """Return the interpretations that cover `figure`, or the default one."""
    return [known for known in interpretations() if known.scope.covers(figure)] or [default_of(figure)]


@functools.cache
def truncates(table: TableKey) -> bool:
    """Return True if a table truncates its counts.

    Truncation then explains every figure that rounding does, and at least two more.
    """
    figures = figures_by_table().get(table, ())

    def explained(rounding: Rounding) -> set[str]:
        return {f.printed for f in figures if any(known.matches(f, rounding) for known in candidates(f))}

    rounded, truncated = explained("rounded"), explained("truncated")
    return rounded < truncated and len(truncated - rounded) > 1


def rounding_of(figure: Figure) -> Rounding:
    """Return the rounding of the table that prints `figure`."""
    return "truncated" if truncates(figure.table) else "rounded"


@functools.cache
def interpretation_of(figure: Figure) -> Interpretation | None:
    """Return the first interpretation that gives `figure`, the default one first; None if none does."""
    known = (default_of(figure), *candidates(figure))
    return next((each for each in known if each.matches(figure, rounding_of(figure))), None)
