"""Notes on the sources of accuracy, for the views of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mbanalyze.literature.accuracy.agreement import AccuracySource, OtherSource
from mbanalyze.literature.accuracy.matching import OwnUse
from mbanalyze.literature.accuracy.own_table import OwnAccuracy

MOST = 3
"""The largest number of sources, rows or columns that a note names."""


def own_notes(use: OwnUse | None, flag: str) -> list[str]:
    """Return notes on the user's table: published values left out, rows without a variant, ignored columns.

    Args:
        use: the use of the table; None without one.
        flag: the name of the option that shows published accuracy; "" if no accuracy is missing.
    """
    if use is None:
        return []
    own, notes = use.own, _run_notes(use.own)
    if flag and not use.published and "top1" in own.metrics:
        notes.append(f"published accuracy is left out: {flag} shows it where {own.title} has none")
    if unmatched := use.unmatched:
        rows = "1 row of {} matches" if len(unmatched) == 1 else f"{len(unmatched)} rows of {{}} match"
        notes.append(f"{rows.format(own.title)} no variant: {_first(list(map(str, unmatched)))}")
    if own.ignored:
        notes.append(f"ignored columns of {own.title}: {_first(own.ignored)}")
    return notes


def _run_notes(own: OwnAccuracy) -> list[str]:
    """Notes on the accuracy of runs: the epoch, and the seeds."""
    if not own.of_runs:
        return []
    notes = ["top-1 is that of the best epoch of each run, on the test images that chose it"]
    if "top1_spread" in own.metrics:
        notes.append("top-1 of several seeds is their mean, and the spread their standard deviation")
    return notes


def own_provenance(own: OwnAccuracy | None) -> tuple[str, ...]:
    """Return the line that says which columns are the user's."""
    return () if own is None else (f"yours: {', '.join(own.metrics)} of {own.title}",)


def choice_note(
    sources: Sequence[AccuracySource], numbers: Mapping[str, int], *, selected: bool
) -> list[str]:
    """Return the note on the published sources of one network's accuracies, and the reason for their choice.

    Args:
        sources: the sources.
        numbers: the number of each source in the table.
        selected: True if the user selected sources.
    """
    published = [source for source in sources if source.publishes is not None]
    if not published:
        return []
    first, *rest = published
    reason = (
        "selected by source" if selected else f"which has most of {first.model} ({first.publishes} variants)"
    )
    parts = [f"top-1 of {_variants(first.variants)} from [{numbers[first.source]}], {reason}"]
    parts += [f"of {_variants(s.variants)} that it leaves out from [{numbers[s.source]}]" for s in rest]
    return ["; ".join(parts)]


def difference_notes(sources: Sequence[AccuracySource]) -> list[str]:
    """Return notes on the other source with the most variants in common, and on the one that differs most."""
    others = _merged_others(sources)
    if not others:
        return []
    widest = max(others, key=lambda other: other.largest)
    notes = [_difference(others[0])]
    if widest.largest > others[0].largest:
        notes.append(f"{_difference(widest)}, the most of {len(others)} other sources")
    return notes


def _difference(other: OtherSource) -> str:
    size = f"{other.largest:.2g}"
    if other.variants > 1:
        size = f"up to {size}, {other.mean:.2g} on average"
    return f"{other.source} also has {_variants(other.variants)} of these: top-1 differs by {size}"


def _merged_others(sources: Sequence[AccuracySource]) -> list[OtherSource]:
    """The other sources of all given sources, each once, most variants first."""
    by_source: dict[str, list[OtherSource]] = {}
    for source in sources:
        for other in source.others:
            by_source.setdefault(other.source, []).append(other)
    merged = [_merged(name, found) for name, found in by_source.items()]
    return sorted(merged, key=lambda other: (-other.variants, -other.largest))


def _merged(name: str, found: Sequence[OtherSource]) -> OtherSource:
    variants = sum(other.variants for other in found)
    mean = sum(other.mean * other.variants for other in found) / variants
    return OtherSource(name, variants, mean, max(other.largest for other in found))


def _variants(count: int) -> str:
    return "1 variant" if count == 1 else f"{count} variants"


def _first(names: Sequence[str]) -> str:
    """The first names, and the number of all others."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
