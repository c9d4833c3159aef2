"""The figures of each variant as columns: published ones, and the user's own in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mbanalyze.literature.accuracy.matching import OwnUse, combine, matching_variants, specs
from mbanalyze.literature.accuracy.own_table import OwnAccuracy
from mbanalyze.sweep.published_rows import PUBLISHED_COLUMNS, VariantIndex, entry_columns, published_entries


class ShownFigures(NamedTuple):
    """The figures that an ablation shows.

    Attributes:
        prefixes: the beginnings of published sources, in order of preference.
        own: the user's accuracy; None without one.
        published: True if published accuracy stands where the user's has none.
    """

    prefixes: Sequence[str]
    own: OwnAccuracy | None
    published: bool

    def of(self, variants: VariantIndex, batch: int = 1) -> tuple[dict[int, dict[str, Any]], OwnUse | None]:
        """Return the columns of each variant that has figures, by its index, and the use of the user's table.

        Raises:
            AccuracyError: a row of the table is invalid, or two rows contradict each other.
        """
        entries = published_entries(variants, self.prefixes)
        rows = {index: entry_columns(entry, batch) for index, entry in entries.items()}
        if self.own is None:
            return rows, None
        networks = specs(self.own, variants.network, variants.fixed, batch)
        matches = [(index, row) for row, spec in networks for index in variants.of(spec)]
        matched = frozenset(row.place for _, row in matches)
        values = combine(self.own, matches)
        own = _with_own(rows, self.own, values, published=self.published)
        return own, OwnUse(self.own, matched, self.published)


def _with_own(
    rows: Mapping[int, dict[str, Any]],
    own: OwnAccuracy,
    values: Mapping[int, Mapping[str, float]],
    *,
    published: bool,
) -> dict[int, dict[str, Any]]:
    """The columns of each variant, with the user's values in place of published ones.

    Args:
        rows: the columns of published variants.
        own: the user's table.
        values: the user's metrics of each variant.
        published: keep published values where the table has none.
    """
    replaced = [name for name in ("top1", "latency_ms") if name in own.metrics]
    left_out = dict.fromkeys(() if published else [*replaced, *_about(replaced)])
    empty = dict.fromkeys(PUBLISHED_COLUMNS)
    found = {index: {**columns, **left_out} for index, columns in rows.items()}
    for index, measured in values.items():
        columns = {
            **found.get(index, empty),
            **dict.fromkeys(_about([n for n in replaced if n in measured])),
            **measured,
        }
        if "top1" in measured:
            columns["accuracy_source"] = own.source
        found[index] = columns
    return found


def traced_columns(
    own: OwnAccuracy, name: str, variants: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], OwnUse]:
    """Return the user's columns of each variant of a factory, and the use of the table.

    Raises:
        AccuracyError: a row leaves out an option that has several values, or two rows contradict each other.
    """
    matches = list(matching_variants(own, name, variants))
    values = combine(own, matches)
    columns = []
    for index in range(len(variants)):
        measured = values.get(index, {})
        source = (
            {"accuracy_source": own.source if "top1" in measured else None} if "top1" in own.metrics else {}
        )
        columns.append({**{metric: measured.get(metric) for metric in own.metrics}, **source})
    return columns, OwnUse(own, frozenset(row.place for _, row in matches), published=False)


def _about(metrics: Sequence[str]) -> list[str]:
    """The columns about these published metrics."""
    return [{"top1": "accuracy_source", "latency_ms": "device"}[name] for name in metrics]
