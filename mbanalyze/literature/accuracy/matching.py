"""The variants that each row of the user's table is about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from mbanalyze.archs import ARCHS
from mbanalyze.archs.options import Architecture, make
from mbanalyze.literature.accuracy.cells import AccuracyError
from mbanalyze.literature.accuracy.own_table import MeasuredRow, OwnAccuracy

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class OwnUse:
    """The use of the user's table in a result.

    Attributes:
        own: the table.
        matched: the places of the rows that match a variant.
        published: True if published values stand where the table has none.
    """

    own: OwnAccuracy
    matched: frozenset[str]
    published: bool

    @property
    def unmatched(self) -> tuple[MeasuredRow, ...]:
        """The rows that match no variant."""
        return tuple(row for row in self.own.rows if row.place not in self.matched)

    def as_dict(self) -> dict[str, Any]:
        """Return the use as a JSON object."""
        return {
            "source": self.own.source,
            "metrics": list(self.own.metrics),
            "rows": len(self.own.rows),
            "unmatched": [str(row) for row in self.unmatched],
        }


def specs(
    own: OwnAccuracy, name: str, fixed: Mapping[str, Any], batch: int = 1
) -> Iterator[tuple[MeasuredRow, Architecture]]:
    """Yield the rows about an architecture, each with its network.

    An option that a row leaves out has its default. If the row names no model, it has the value in `fixed`, if any.

    Args:
        own: the table.
        name: the architecture.
        fixed: the options that have one value in all variants.
        batch: images in the input; a row that states another batch is left out.

    Raises:
        AccuracyError: a row states an option that the architecture does not have, or an invalid value.
    """
    arch = ARCHS[name]
    known = {field.name for field in fields(arch)}
    for row in own.rows:
        if row.model not in ("", name) or row.options.get("batch", batch) != batch:
            continue
        stated = {option: value for option, value in row.options.items() if option != "batch"}
        left_out = {} if row.model else {o: v for o, v in fixed.items() if o in known}
        try:
            yield row, make(name, arch, {**left_out, **stated})
        except ValueError as error:
            raise AccuracyError(f"{own.title}: {row.place}: {error}") from error


def matching_variants(
    own: OwnAccuracy, name: str, variants: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[int, MeasuredRow]]:
    """Yield the index of each variant of a factory and a row about it.

    Args:
        own: the table.
        name: the reference of the factory, without options.
        variants: the options of each variant.

    Raises:
        AccuracyError: a row leaves out an option that has several values.
    """
    spelled = [{option: _spell(value) for option, value in variant.items()} for variant in variants]
    several = [o for o in (spelled[0] if spelled else {}) if len({variant.get(o) for variant in spelled}) > 1]
    for row in own.rows:
        if row.model not in ("", name):
            continue
        if missing := [option for option in several if option not in row.options]:
            raise AccuracyError(f"{own.title}: {row} does not state {missing[0]}, which has several values")
        stated = {option: _spell(value) for option, value in row.options.items()}
        for i, variant in enumerate(spelled):
            if stated.items() <= variant.items():
                yield i, row


def _spell(value: Any) -> str:
    """A value as text, equal for equal numbers, lists and sizes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return repr(float(value))


def combine(own: OwnAccuracy, matches: Iterable[tuple[Key, MeasuredRow]]) -> dict[Key, dict[str, float]]:
    """Return the metrics of each variant, from all rows about it.

    Raises:
        AccuracyError: two rows give different values of one metric.
    """
    found: dict[Key, dict[str, float]] = {}
    given: dict[tuple[Key, str], MeasuredRow] = {}
    for key, row in matches:
        for metric, value in row.metrics.items():
            first = given.setdefault((key, metric), row)
            if first.metrics[metric] != value:
                raise AccuracyError(
                    f"{own.title}: {first.place} and {row.place} give {metric} {first.metrics[metric]:g} and "
                    f"{value:g} of one variant, {row.variant}"
                )
            found.setdefault(key, {})[metric] = value
    return found
